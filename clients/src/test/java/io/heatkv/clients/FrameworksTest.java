package io.heatkv.clients;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.errors.BadRequestException;
import dev.langchain4j.exception.LangChain4jException;
import dev.langchain4j.model.openai.OpenAiImageModel;
import io.heatkv.server.http.Running;
import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.util.Base64;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.image.ImagePrompt;
import org.springframework.ai.image.ImageResponse;
import org.springframework.ai.openai.OpenAiImageOptions;

/** LangChain4j's and Spring AI's own clients of OpenAI, as they come. */
final class FrameworksTest {
  @TempDir private static Path folder;
  private static Running running;

  @BeforeAll
  static void start() {
    running = new Running(folder).ready();
  }

  @AfterAll
  static void stop() {
    running.close();
  }

  private static void assertPicture(String base64) throws Exception {
    byte[] png = Base64.getDecoder().decode(base64);
    assertThat(ImageIO.read(new ByteArrayInputStream(png)).getWidth()).isEqualTo(28);
  }

  @Test
  void langChain4jDraws() throws Exception {
    OpenAiImageModel model =
        OpenAiImageModel.builder()
            .baseUrl(running.url("/v1"))
            .apiKey("none")
            .modelName("toy")
            .size("28x20")
            .quality("high")
            .build();
    assertPicture(model.generate("circle").content().base64Data());
    assertThat(model.generate("cross", 3).content()).hasSize(3);
    assertThatThrownBy(() -> model.generate("triangle"))
        .isInstanceOf(LangChain4jException.class)
        .hasMessageContaining("class 'triangle' is unknown");
  }

  @Test
  void springAiDraws() throws Exception {
    org.springframework.ai.openai.OpenAiImageModel model =
        org.springframework.ai.openai.OpenAiImageModel.builder()
            .options(
                OpenAiImageOptions.builder()
                    .baseUrl(running.url("/v1"))
                    .apiKey("none")
                    .model("toy")
                    .build())
            .build();
    ImageResponse response =
        model.call(
            new ImagePrompt(
                "circle",
                OpenAiImageOptions.builder()
                    .model("toy")
                    .n(2)
                    .width(28)
                    .height(20)
                    .style("vivid")
                    .build()));
    assertThat(response.getResults()).hasSize(2);
    assertPicture(response.getResult().getOutput().getB64Json());
    assertThatThrownBy(() ->
            model.call(
                new ImagePrompt("triangle", OpenAiImageOptions.builder().model("toy").build())))
        .isInstanceOf(BadRequestException.class)
        .hasMessageContaining("class 'triangle' is unknown");
  }
}
