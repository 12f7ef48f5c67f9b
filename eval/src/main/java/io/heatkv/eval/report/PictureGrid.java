package io.heatkv.eval.report;

import io.heatkv.error.UserException;
import io.heatkv.eval.run.Cell;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/**
 * Pictures of the first prompts: a row for each policy, a column for each budget, the full cache's
 * picture in front.
 *
 * @param evaluation what was drawn
 * @param folder where the pictures lie
 * @param policies in the order of their colours
 */
record PictureGrid(Evaluation evaluation, EvaluationFolder folder, List<String> policies) {
  /** Prompts that the page shows; more are in the folder. */
  static final int MOST_PROMPTS = 8;

  // The others unfold, so that what comes behind is near.
  private static final int OPEN_PROMPTS = 2;

  // Larger ones are shown smaller, so that a page of hundreds stays light.
  private static final int LOSSLESS_EDGE = 128;
  private static final int EDGE = 192;
  private static final float QUALITY = 0.9f;

  PictureGrid {
    policies = List.copyOf(policies);
  }

  /** Prompts with pictures. */
  int prompts() {
    return Math.min(Math.min(evaluation.images(), MOST_PROMPTS), evaluation.prompts().size());
  }

  String html() {
    StringBuilder html = new StringBuilder();
    int more = prompts() - OPEN_PROMPTS;
    for (int prompt = 0; prompt < prompts(); prompt++) {
      if (prompt == OPEN_PROMPTS) {
        html.append(
            "<details><summary>%d more prompt%s</summary>\n".formatted(more, more == 1 ? "" : "s"));
      }
      grid(html, prompt);
    }
    return html.append(more > 0 ? "</details>\n" : "").toString();
  }

  private void grid(StringBuilder html, int prompt) {
    long seed = evaluation.seedOf(prompt * evaluation.seeds());
    List<Double> ratios =
        evaluation.cells().stream().map(Cell::ratio).distinct().sorted().toList().reversed();
    html.append("<figure class=\"grid-of\"><figcaption>");
    html.append(
        "“%s” <small>seed %d</small></figcaption>\n"
            .formatted(Html.escape(evaluation.prompts().get(prompt)), seed));
    html.append(
        "<div class=\"wide\"><table class=\"pictures\"><thead><tr><th></th><th>full cache</th>");
    ratios.forEach(ratio -> html.append("<th>").append(Html.percent(ratio)).append("</th>"));
    html.append("</tr></thead><tbody>\n");
    for (int i = 0; i < policies.size(); i++) {
      html.append("<tr><th>%s<br>%s</th>".formatted(Marks.key(i), Html.escape(policies.get(i))));
      if (i == 0) {
        html.append("<td class=\"reference\" rowspan=\"%d\">".formatted(policies.size()));
        html.append(picture(folder.image(prompt, seed, "full", ""), "full cache"));
        html.append("</td>");
      }
      for (double ratio : ratios) {
        html.append("<td>");
        cell(policies.get(i), ratio)
            .ifPresent(cell ->
                html.append(
                    picture(
                        folder.image(prompt, seed, cell.policy(), cell.budget()), cell.label())));
        html.append("</td>");
      }
      html.append("</tr>\n");
    }
    html.append("</tbody></table></div></figure>\n");
  }

  private Optional<Cell> cell(String policy, double ratio) {
    return evaluation.cells().stream()
        .filter(cell -> cell.policy().equals(policy) && cell.ratio() == ratio)
        .findFirst();
  }

  private static String picture(Path file, String label) {
    if (!Files.isRegularFile(file)) {
      return "<span class=\"gone\">removed</span>";
    }
    try {
      byte[] bytes = Files.readAllBytes(file);
      BufferedImage image = ImageIO.read(file.toFile());
      if (image == null) {
        return "<span class=\"gone\">damaged</span>";
      }
      boolean small = Math.max(image.getWidth(), image.getHeight()) <= LOSSLESS_EDGE;
      return "<img alt=\"%s\" title=\"%s\" width=\"%d\" height=\"%d\"%s src=\"data:image/%s;base64,%s\">"
          .formatted(
              Html.escape(label),
              Html.escape(label),
              image.getWidth(),
              image.getHeight(),
              small ? " class=\"pixels\"" : "",
              small ? "png" : "jpeg",
              Base64.getEncoder().encodeToString(small ? bytes : jpeg(image)));
    } catch (IOException e) {
      throw new UserException(file + ": can't be read (" + e.getMessage() + ")", e);
    }
  }

  /** Smaller, for the page; the folder has the whole pictures. */
  private static byte[] jpeg(BufferedImage image) throws IOException {
    double factor = (double) EDGE / Math.max(image.getWidth(), image.getHeight());
    int width = (int) Math.max(1, Math.round(image.getWidth() * factor));
    int height = (int) Math.max(1, Math.round(image.getHeight() * factor));
    BufferedImage scaled = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
    Graphics2D graphics = scaled.createGraphics();
    graphics.setRenderingHint(
        RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
    graphics.drawImage(image, 0, 0, width, height, null);
    graphics.dispose();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
      ImageWriteParam settings = writer.getDefaultWriteParam();
      settings.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      settings.setCompressionQuality(QUALITY);
      writer.setOutput(out);
      writer.write(null, new IIOImage(scaled, null, null), settings);
    } finally {
      writer.dispose();
    }
    return bytes.toByteArray();
  }
}
