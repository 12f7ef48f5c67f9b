package io.heatkv.spring.ai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.ImageGenerator;
import io.heatkv.OpenOptions;
import io.heatkv.Picture;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Device;
import io.heatkv.testkit.toy.ToyConfig;
import io.heatkv.testkit.toy.ToyFiles;
import io.micrometer.observation.tck.TestObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistryAssert;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.image.ImageGeneration;
import org.springframework.ai.image.ImageMessage;
import org.springframework.ai.image.ImageOptions;
import org.springframework.ai.image.ImageOptionsBuilder;
import org.springframework.ai.image.ImagePrompt;
import org.springframework.ai.image.ImageResponse;
import org.springframework.ai.image.observation.DefaultImageModelObservationConvention;

/** The adapter with the smallest model, beside the engine itself. */
class HeatKvImageModelTest {
  private static final String PROMPT = "circle";

  private static final HeatKvImageOptions OPTIONS =
      HeatKvImageOptions.DEFAULT.withSeed(5).withPolicy("h2o").withKvBudget("50%");

  @TempDir private static Path folder;
  private static ImageGenerator engine;
  private static HeatKvImageModel model;

  @BeforeAll
  static void open() {
    ToyFiles.write(folder, new ToyConfig(2), 1);
    engine = ImageGenerator.open(folder.toString(), OpenOptions.on(Device.CPU).withThreads(1));
    model = new HeatKvImageModel(engine, OPTIONS);
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  private static byte[] drawn() {
    CachePolicy policy = engine.policy("h2o", "50%", engine.description().grids());
    return engine
        .generate(engine.request(PROMPT).withSeed(5).with(policy))
        .images()
        .getFirst()
        .png();
  }

  private static byte[] png(ImageGeneration generation) {
    return Base64.getDecoder().decode(generation.getOutput().getB64Json());
  }

  @Test
  void drawsWhatTheEngineDrawsAndSaysHow() {
    ImageResponse response = model.call(new ImagePrompt(PROMPT));
    assertThat(png(response.getResult())).isEqualTo(drawn());
    assertThat(response.getResult().getMetadata()).isEqualTo(new HeatKvImageMetadata(5, 28, 20));
    assertThat(response.getMetadata().<String>get("policy")).isEqualTo("h2o");
    // A budget counts 2 bytes a number, the full cache is of the compute type.
    long full = response.getMetadata().<Long>getRequired("full_kv_bytes") / 2;
    assertThat(response.getMetadata().<Long>getRequired("kv_bytes")).isBetween(full / 4, full / 2);
  }

  @Test
  void aPromptsOptionsHoldAndAnyProvidersAreRead() {
    ImageOptions options = HeatKvImageOptions.DEFAULT.withN(2).withSeed(9).withPolicy("full");
    ImageResponse response = model.call(new ImagePrompt(PROMPT, options));
    assertThat(response.getResults()).hasSize(2);
    for (ImageGeneration each : response.getResults()) {
      long seed = ((HeatKvImageMetadata) each.getMetadata()).seed();
      Picture alone = engine.generate(engine.request(PROMPT).withSeed(seed)).images().getFirst();
      assertThat(png(each)).isEqualTo(alone.png());
    }
    ImageOptions others =
        ImageOptionsBuilder.builder()
            .n(1)
            .width(290)
            .height(200)
            .model("toy")
            .style("vivid")
            .responseFormat("b64_json")
            .build();
    assertThat(png(model.call(new ImagePrompt(PROMPT, others)).getResult())).isEqualTo(drawn());
  }

  @Test
  void callsAreObservedByTheConventionalNames() {
    TestObservationRegistry registry = TestObservationRegistry.create();
    new HeatKvImageModel(
            engine,
            OPTIONS.withSize(28, 20),
            registry,
            new DefaultImageModelObservationConvention())
        .call(new ImagePrompt(PROMPT));
    TestObservationRegistryAssert.assertThat(registry)
        .hasObservationWithNameEqualTo("gen_ai.client.operation")
        .that()
        .hasContextualNameEqualTo("image toy")
        .hasLowCardinalityKeyValue("gen_ai.operation.name", "image")
        .hasLowCardinalityKeyValue("gen_ai.system", "heatkv")
        .hasLowCardinalityKeyValue("gen_ai.request.model", "toy")
        .hasHighCardinalityKeyValue("gen_ai.request.image.size", "28x20")
        .hasHighCardinalityKeyValue("gen_ai.request.image.response_format", "b64_json")
        .hasBeenStarted()
        .hasBeenStopped();
  }

  @Test
  void wrongRequestsAreOneLine() {
    refused(PROMPT, ImageOptionsBuilder.builder().responseFormat("url").build(), "'url'");
    refused(PROMPT, ImageOptionsBuilder.builder().model("dall-e").build(), "model 'dall-e'");
    refused(PROMPT, ImageOptionsBuilder.builder().width(256).build(), "size '256xnull'");
    refused(PROMPT, ImageOptionsBuilder.builder().n(0).build(), "count 0 is out of range");
    refused(PROMPT, HeatKvImageOptions.DEFAULT.withPolicy("h2o"), "h2o needs a KV budget");
    refused("triangle", HeatKvImageOptions.DEFAULT, "class 'triangle' is unknown");
    assertThatThrownBy(() ->
            model.call(
                new ImagePrompt(
                    List.of(new ImageMessage("a"), new ImageMessage("b")),
                    HeatKvImageOptions.DEFAULT)))
        .isInstanceOf(UserException.class)
        .hasMessage("the prompt has 2 messages; expected one");
    assertThatThrownBy(() -> new HeatKvImageModel(engine, OPTIONS.withKvBudget("0.0001%")))
        .isInstanceOf(UserException.class)
        .message()
        .hasLineCount(1);
    assertThat(model.failure()).isEmpty();
  }

  private static void refused(String prompt, ImageOptions options, String message) {
    assertThatThrownBy(() -> model.call(new ImagePrompt(prompt, options)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining(message)
        .message()
        .hasLineCount(1);
  }
}
