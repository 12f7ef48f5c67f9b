import io.heatkv.ImageGenerator;

/** A picture with a tenth of the memory for the KV cache. */
void main() {
  try (ImageGenerator generator = ImageGenerator.open("emoji")) {
    generator.draw("a red apple with a green leaf", "10%", 1).save(Path.of("apple.png"));
  }
}
