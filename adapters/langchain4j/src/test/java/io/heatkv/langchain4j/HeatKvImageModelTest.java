package io.heatkv.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.data.image.Image;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.model.batch.BatchError;
import dev.langchain4j.model.batch.BatchPage;
import dev.langchain4j.model.batch.BatchPagination;
import dev.langchain4j.model.batch.BatchRequest;
import dev.langchain4j.model.batch.BatchResponse;
import dev.langchain4j.model.batch.BatchState;
import dev.langchain4j.model.output.Response;
import io.heatkv.ImageGenerator;
import io.heatkv.OpenOptions;
import io.heatkv.cache.CachePolicy;
import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import io.heatkv.tensor.Device;
import io.heatkv.testkit.toy.ToyConfig;
import io.heatkv.testkit.toy.ToyFiles;
import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The adapter with the smallest model, beside the engine itself. */
class HeatKvImageModelTest {
  private static final String PROMPT = "circle";
  private static final String POLICY = "h2o";
  private static final String BUDGET = "50%";
  private static final long SEED = 5;

  @TempDir private static Path folder;
  private static String toy;
  private static ImageGenerator engine;
  private static HeatKvImageModel model;

  @BeforeAll
  static void open() {
    ToyFiles.write(folder, new ToyConfig(2), 1);
    toy = folder.toString();
    engine = ImageGenerator.open(toy, OpenOptions.on(Device.CPU).withThreads(1));
    model =
        HeatKvImageModel.builder()
            .model(toy)
            .device("cpu")
            .seed(SEED)
            .policy(POLICY)
            .kvBudget(BUDGET)
            .build();
  }

  @AfterAll
  static void close() {
    model.close();
    engine.close();
  }

  private static byte[] drawn(long seed) {
    CachePolicy policy = engine.policy(POLICY, BUDGET, engine.description().grids());
    return engine
        .generate(engine.request(PROMPT).withSeed(seed).with(policy))
        .images()
        .getFirst()
        .png();
  }

  private static byte[] png(Image image) {
    assertThat(image.mimeType()).isEqualTo("image/png");
    return Base64.getDecoder().decode(image.base64Data());
  }

  @Test
  void drawsWhatTheEngineDrawsAndSaysHow() throws Exception {
    Response<Image> response = model.generate(PROMPT);
    byte[] png = png(response.content());
    assertThat(png).isEqualTo(drawn(SEED));
    assertThat(ImageIO.read(new ByteArrayInputStream(png)).getWidth()).isEqualTo(28);
    assertThat(response.metadata())
        .containsEntry("model", "toy")
        .containsEntry("width", 28)
        .containsEntry("height", 20)
        .containsEntry("seeds", List.of(SEED))
        .containsEntry("policy", POLICY)
        .containsKeys("seconds")
        .doesNotContainKey("warnings");
    // A budget counts 2 bytes a number, the full cache is of the compute type.
    long full = (Long) response.metadata().get("full_kv_bytes") / 2;
    assertThat((Long) response.metadata().get("kv_bytes")).isBetween(full / 4, full / 2);
  }

  @Test
  void everyPictureOfAPassIsDrawnAloneByItsSeed() {
    Response<List<Image>> response = model.generate(PROMPT, 2);
    List<?> seeds = (List<?>) response.metadata().get("seeds");
    assertThat(seeds).hasSize(2).doesNotHaveDuplicates();
    for (int i = 0; i < 2; i++) {
      assertThat(png(response.content().get(i))).isEqualTo(drawn((Long) seeds.get(i)));
    }
  }

  @Test
  void aBatchDrawsEachPromptAndKeepsTheirOrder() throws Exception {
    BatchResponse<Response<Image>> submitted =
        model.submit(new BatchRequest<>(List.of(PROMPT, "triangle", "cross")));
    assertThat(submitted.state()).isIn(BatchState.PENDING, BatchState.RUNNING);
    assertThat(submitted.results()).isEmpty();
    BatchResponse<Response<Image>> ended = await(submitted.batchId());
    assertThat(ended.state()).isEqualTo(BatchState.SUCCEEDED);
    assertThat(png(ended.results().get(0).response().content()))
        .isEqualTo(png(model.generate(PROMPT).content()));
    assertThat(ended.results().get(1).error())
        .returns(Batches.INVALID_ARGUMENT, BatchError::code)
        .returns(
            "class 'triangle' is unknown; expected circle, square, cross, or an index from 0 to 2",
            BatchError::message);
    assertThat(ended.results().get(2).isSuccess()).isTrue();
    // What has ended stays as it is.
    model.cancel(submitted.batchId());
    assertThat(model.retrieve(submitted.batchId())).isEqualTo(ended);
    assertThat(await(model.submit(new BatchRequest<>(List.of(" "))).batchId()).state())
        .isEqualTo(BatchState.FAILED);
  }

  private static BatchResponse<Response<Image>> await(String id) throws InterruptedException {
    BatchResponse<Response<Image>> now = model.retrieve(id);
    while (!now.state().isTerminal()) {
      Thread.sleep(10);
      now = model.retrieve(id);
    }
    return now;
  }

  @Test
  void cancelledBatchesEndAndAreListed() throws Exception {
    String first = model.submit(new BatchRequest<>(Collections.nCopies(5000, PROMPT))).batchId();
    String second = model.submit(new BatchRequest<>(List.of(PROMPT))).batchId();
    model.cancel(second);
    assertThat(model.retrieve(second).state()).isEqualTo(BatchState.CANCELLED);
    model.cancel(first);
    BatchResponse<Response<Image>> ended = await(first);
    assertThat(ended.state()).isEqualTo(BatchState.CANCELLED);
    assertThat(ended.errors()).extracting(BatchError::code).contains(Batches.CANCELLED);
    assertThat(ended.results()).hasSize(5000);
    BatchPage<Response<Image>> page = model.list(new BatchPagination(1, null));
    assertThat(page.batches()).extracting(BatchResponse::batchId).containsExactly(second);
    page = model.list(new BatchPagination(1, page.nextPageToken()));
    assertThat(page.batches()).extracting(BatchResponse::batchId).containsExactly(first);
    assertThat(model.list(null).batches()).hasSizeGreaterThanOrEqualTo(2);
  }

  @Test
  void wrongRequestsAreOneLine() {
    refused(() -> model.generate(" "), "class '' is unknown");
    refused(() -> model.generate(PROMPT, 0), "count 0 is out of range");
    refused(() -> model.submit(new BatchRequest<>(List.of())), "the batch has no prompt");
    refused(() -> model.retrieve("x"), "batch 'x' is unknown");
    refused(() -> model.cancel("x"), "batch 'x' is unknown");
    refused(() -> model.list(new BatchPagination(0, null)), "page size 0 is out of range");
  }

  private static void refused(Runnable request, String message) {
    assertThatThrownBy(request::run)
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining(message)
        .message()
        .hasLineCount(1);
  }

  @ParameterizedTest
  @CsvSource({
    "missing, cpu, auto, heatkv, 10%, model 'missing' is unknown",
    "toy, tpu, auto, heatkv, 10%, device 'tpu' is unknown",
    "toy, cpu, 10x1000, h2o, 50%, size 10x1000 has a ratio that isn't drawn",
    "toy, cpu, auto, heatkw, 10%, did you mean heatkv?",
    "toy, cpu, auto, heatkv, 10%, comes without a calibration profile",
    "toy, cpu, auto, h2o, much, much",
    "toy, cpu, auto, snapkv,, policy snapkv needs a KV budget"
  })
  void wrongSettingsAreOneLineAndLeaveNothing(
      String name, String device, String size, String policy, String budget, String message) {
    Backend backend = engine.model().backend();
    long before = backend.liveTensors();
    HeatKvImageModel.Builder builder = HeatKvImageModel.builder();
    assertThatThrownBy(
            () -> {
              builder
                  .model(name.equals("toy") ? toy : name)
                  .device(device)
                  .size(size)
                  .policy(policy);
              (budget == null ? builder : builder.kvBudget(budget)).build();
            })
        .isInstanceOf(UserException.class)
        .hasMessageContaining(message)
        .message()
        .hasLineCount(1);
    assertThat(backend.liveTensors()).isEqualTo(before);
  }

  @Test
  void closingFreesEverythingAndEndsBatches() {
    Backend backend = engine.model().backend();
    long before = backend.liveTensors();
    HeatKvImageModel closed = HeatKvImageModel.builder().model(toy).build();
    String id = closed.submit(new BatchRequest<>(Collections.nCopies(5000, PROMPT))).batchId();
    closed.close();
    assertThat(closed.retrieve(id).state()).isEqualTo(BatchState.CANCELLED);
    assertThat(backend.liveTensors()).isEqualTo(before);
    assertThatThrownBy(() -> closed.generate(PROMPT)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> closed.submit(new BatchRequest<>(List.of(PROMPT))))
        .isInstanceOf(IllegalStateException.class);
    closed.close();
  }
}
