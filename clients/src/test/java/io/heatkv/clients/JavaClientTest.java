package io.heatkv.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.RateLimitException;
import com.openai.models.images.ImageGenStreamEvent;
import com.openai.models.images.ImageGenerateParams;
import com.openai.models.images.ImagesResponse;
import io.heatkv.server.http.Running;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** OpenAI's client for Java, as it comes. */
final class JavaClientTest {
  @TempDir private static Path folder;
  private static Running running;
  private static OpenAIClient client;

  @BeforeAll
  static void start() {
    running = new Running(folder).ready();
    client = client(2);
  }

  private static OpenAIClient client(int retries) {
    return OpenAIOkHttpClient.builder()
        .baseUrl(running.url("/v1"))
        .apiKey("none")
        .maxRetries(retries)
        .build();
  }

  @AfterAll
  static void stop() {
    client.close();
    running.close();
  }

  private static ImageGenerateParams.Builder request(String prompt) {
    return ImageGenerateParams.builder().model("toy").prompt(prompt);
  }

  @Test
  @SuppressWarnings(
      "deprecation") // Marked as not for every day; what isn't OpenAI's is found there only.
  void itDraws() {
    ImagesResponse answer =
        client
            .images()
            .generate(
                request("circle")
                    .n(2)
                    .size(ImageGenerateParams.Size.AUTO)
                    .quality(ImageGenerateParams.Quality.HIGH)
                    .putAdditionalBodyProperty("seed", JsonValue.from(7))
                    .putAdditionalBodyProperty("kv_budget", JsonValue.from("50%"))
                    .putAdditionalBodyProperty("policy", JsonValue.from("h2o"))
                    .build());
    assertThat(answer.data().orElseThrow()).hasSize(2);
    assertThat(answer.data().orElseThrow().getFirst()._additionalProperties().get("seed"))
        .isEqualTo(JsonValue.from(7));
    byte[] png =
        Base64.getDecoder().decode(answer.data().orElseThrow().getFirst().b64Json().orElseThrow());
    assertThat(png).startsWith(0x89, 'P', 'N', 'G');
    assertThat(client.models().list().data().getFirst().id()).isEqualTo("toy");
  }

  @Test
  void itStreams() {
    List<ImageGenStreamEvent> events = new ArrayList<>();
    try (StreamResponse<ImageGenStreamEvent> stream =
        client.images().generateStreaming(request("cross").partialImages(3).build())) {
      stream.stream().forEach(events::add);
    }
    assertThat(events.getFirst().isGenerationPartialImage()).isTrue();
    assertThat(events.getLast().isGenerationCompleted()).isTrue();
    assertThat(events.getLast().asGenerationCompleted().b64Json()).isNotEmpty();
    events.forEach(ImageGenStreamEvent::validate);
  }

  @Test
  void itUnderstandsWhatIsWrong() {
    assertThatThrownBy(() -> client.images().generate(request("triangle").build()))
        .isInstanceOf(BadRequestException.class)
        .hasMessageContaining("triangle");
    assertThatThrownBy(() ->
            client.images().generate(ImageGenerateParams.builder().model("x").prompt("y").build()))
        .isInstanceOf(NotFoundException.class);
  }

  @Test
  void itTriesAgainAfterADeviceError() {
    running.model.failures.set(1);
    assertThat(client.images().generate(request("circle").build()).data()).isPresent();
  }

  @Test
  void itIsToldOfAFullQueueAndLeavesAStream() throws Exception {
    running.model.shut();
    OpenAIClient impatient = client(0);
    ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    try {
      List<CompletableFuture<?>> held = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        held.add(
            CompletableFuture.runAsync(
                () -> impatient.images().generateStreaming(request("square").n(4).build()),
                threads));
      }
      CompletableFuture<?> refused =
          CompletableFuture.anyOf(held.toArray(CompletableFuture[]::new));
      assertThatThrownBy(refused::join)
          .hasCauseInstanceOf(RateLimitException.class)
          .hasMessageContaining("places in the queue are taken");
    } finally {
      // Nothing was written to the others yet; the server sees that they leave.
      threads.shutdownNow();
      impatient.close();
    }
    while (running.server.status().waiting() > 0) {
      Thread.onSpinWait();
    }
    running.model.open();
    while (running.server.status().running() + running.server.status().waiting() > 0) {
      Thread.onSpinWait();
    }
    try (StreamResponse<ImageGenStreamEvent> stream =
        client.images().generateStreaming(request("cross").partialImages(2).build())) {
      Iterator<ImageGenStreamEvent> events = stream.stream().iterator();
      assertThat(events.next().isGenerationPartialImage()).isTrue();
    }
    assertThat(client.images().generate(request("circle").build()).data()).isPresent();
  }
}
