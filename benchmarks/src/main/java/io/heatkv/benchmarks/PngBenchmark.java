package io.heatkv.benchmarks;

import io.heatkv.ImageGenerator;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.load.ModelSource;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import javax.imageio.ImageIO;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Writing a 1024 × 1024 picture as PNG: one of the embedded model, enlarged, with a photo's noise
 * of some 255ths or without. Baseline: ImageIO. The set-up prints how long both files are.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class PngBenchmark {
  private static final int SIDE = 1024;

  @Param({"0", "0.5", "1.5", "4"})
  public double noise;

  private PngImage picture = new PngImage(1, 1, new byte[3]);

  @Setup
  public void draw() throws IOException {
    BufferedImage enlarged = new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_INT_RGB);
    try (ImageGenerator model = ImageGenerator.open(ModelSource.EMBEDDED)) {
      BufferedImage drawn = model.draw("a red apple", "100%").pixels().toBufferedImage();
      Graphics2D graphics = enlarged.createGraphics();
      graphics.setRenderingHint(
          RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
      graphics.drawImage(drawn, 0, 0, SIDE, SIDE, null);
    }
    byte[] rgb = PngImage.of(enlarged).rgb();
    Random random = new Random(1);
    for (int i = 0; i < rgb.length; i++) {
      long noisy = Math.round((rgb[i] & 0xFF) + noise * random.nextGaussian());
      rgb[i] = (byte) Math.clamp(noisy, 0, 255);
    }
    picture = new PngImage(SIDE, SIDE, rgb);
    System.out.printf("%d bytes; ImageIO: %d%n", encode().length, baseline().length);
  }

  @Benchmark
  public byte[] encode() {
    return Png.encode(picture, List.of());
  }

  @Benchmark
  public byte[] baseline() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.setUseCache(false);
    ImageIO.write(picture.toBufferedImage(), "png", bytes);
    return bytes.toByteArray();
  }
}
