import io.heatkv.spring.ai.HeatKvImageOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import org.springframework.ai.image.ImageModel;
import org.springframework.ai.image.ImagePrompt;
import org.springframework.ai.image.ImageResponse;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Spring AI's image model as the starter configures it; application.properties has the budget. */
@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
public class Apple {
  public static void main(String[] arguments) {
    SpringApplication.run(Apple.class, arguments).close();
  }

  @Bean
  CommandLineRunner draw(ImageModel model) {
    return _ -> {
      ImagePrompt prompt =
          new ImagePrompt(
              "a red apple with a green leaf", HeatKvImageOptions.DEFAULT.withSeed(1));
      ImageResponse response = model.call(prompt);
      String base64 = response.getResult().getOutput().getB64Json();
      Files.write(Path.of("apple.png"), Base64.getDecoder().decode(base64));
      System.out.println(response.getMetadata().<Object>get("kv_bytes") + " bytes of cache");
    };
  }
}
