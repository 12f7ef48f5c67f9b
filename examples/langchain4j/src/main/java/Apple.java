import dev.langchain4j.data.image.Image;
import dev.langchain4j.model.output.Response;
import io.heatkv.langchain4j.HeatKvImageModel;

/** LangChain4j's image model, drawn in this process with a tenth of the memory for the KV cache. */
void main() throws IOException {
  try (HeatKvImageModel model =
      HeatKvImageModel.builder()
          .model("emoji")
          .device("cpu")
          .seed(1)
          .size("256x256")
          .kvBudget("10%")
          .build()) {
    Response<Image> response = model.generate("a red apple with a green leaf");
    byte[] png = Base64.getDecoder().decode(response.content().base64Data());
    Files.write(Path.of("apple.png"), png);
    IO.println(response.metadata());
  }
}
