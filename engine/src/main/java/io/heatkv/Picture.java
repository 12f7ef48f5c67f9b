package io.heatkv;

import io.heatkv.error.UserException;
import io.heatkv.family.PictureRequest;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.image.PngText;
import java.nio.file.Path;
import java.util.List;

/**
 * A drawn picture.
 *
 * @param index of its request
 * @param request that it draws
 * @param pixels 8-bit RGB
 */
public record Picture(int index, PictureRequest request, PngImage pixels) {
  /**
   * Writes a PNG file with prompt and seed in it.
   *
   * @throws UserException if it can't be written; what was there before is untouched then
   */
  public void save(Path file) {
    Png.write(file, pixels, texts());
  }

  /** The bytes of that file. */
  public byte[] png() {
    return Png.encode(pixels, texts());
  }

  private List<PngText> texts() {
    return List.of(PngText.parameters(parameters()));
  }

  /** As image tools read it: the prompt, then a line of settings. */
  private String parameters() {
    return "%s\nSeed: %d, Size: %dx%d"
        .formatted(request.prompt(), request.seed(), pixels.width(), pixels.height());
  }
}
