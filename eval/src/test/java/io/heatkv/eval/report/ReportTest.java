package io.heatkv.eval.report;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.cache.CachePolicy;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvParts;
import io.heatkv.eval.config.Preset;
import io.heatkv.eval.config.Published;
import io.heatkv.eval.run.BatchResult;
import io.heatkv.eval.run.Cell;
import io.heatkv.eval.run.CellResult;
import io.heatkv.eval.run.Evaluation;
import io.heatkv.eval.run.EvaluationFolder;
import io.heatkv.eval.run.EvaluationSettings;
import io.heatkv.image.Png;
import io.heatkv.image.PngImage;
import io.heatkv.json.JsonObject;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.tensor.Backend;
import java.io.IOException;
import java.io.StringReader;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;

/** The page and the tables of batches that were made up. */
class ReportTest {
  private static final String EVIL = "a \"cat\", <script>alert(1)</script> & 'dog'\u0007";
  private static final Pattern REFERENCE = Pattern.compile("(?:src|href)=\"([^\"]*)\"");

  @TempDir Path parent;

  private Report report;
  private EvaluationFolder folder;

  @BeforeEach
  void make() throws IOException {
    folder = new EvaluationFolder(parent.resolve("report"));
    Evaluation evaluation =
        new Evaluation(
            List.of(EVIL, "two", "three"),
            2,
            7,
            ScaleGrids.parse("1x1,2x2"),
            SamplingOptions.of(3, 1, 1),
            List.of(
                cell("heatkv", "10%", 0.1),
                cell("heatkv", "0.2", 0.2),
                cell("<b>", "0.1", 0.1),
                cell("<i>", "0.2", 0.2)),
            List.of("h2o at 0.1: <i>floor</i>"),
            2,
            3);
    EvaluationSettings settings = new EvaluationSettings(Map.of("model", "emoji <x>"));
    folder.open(settings, evaluation.batches(), EvaluationFolder.Existing.REFUSE);
    for (int b = 0; b < 3; b++) {
      List<CellResult> cells = new ArrayList<>();
      for (int c = 0; c < 4; c++) {
        Cell cell = evaluation.cells().get(c);
        cells.add(result(cell.policy(), cell.budget(), 20 + b + 2 * c, 22 + b + 2 * c));
      }
      BatchResult batch = new BatchResult(2 * b, 2, b > 0, 1, result("full", "", 0, 0), cells);
      batch.write(folder.batch(b));
    }
    PngImage picture = new PngImage(2, 1, new byte[] {1, 2, 3, 4, 5, 6});
    Png.write(folder.image(0, 7, "full", ""), picture, List.of());
    Published published =
        new Published(
            "A & B",
            "",
            List.of(
                new Published.Row("heatkv", "20%", Map.of("psnr", 30.0, "lpips", 0.25)),
                new Published.Row("<b>", "0.1", Map.of("psnr", 28.75))));
    Preset standard = Preset.standard();
    Preset preset =
        new Preset(
            "a",
            "<Title>",
            standard.policies(),
            standard.budgets(),
            2,
            Optional.empty(),
            1,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            List.of(published));
    report = Report.of(evaluation, settings, folder, preset, List.of(), unused());
    report.write();
  }

  private static Cell cell(String policy, String budget, double ratio) {
    return new Cell(policy, budget, ratio, CachePolicy.FULL);
  }

  private static CellResult result(String policy, String budget, double first, double second) {
    boolean full = policy.equals("full");
    return new CellResult(
        policy,
        budget,
        new KvMemory(full ? 1000 : 100, new KvParts(20, 3, 4), 1, 1),
        5,
        full ? Map.of() : Map.of("psnr", List.of(first, second)),
        Map.of(),
        full ? List.of() : List.of(List.of(1.0, 0.5), List.of(1.0, 0.75)),
        List.of());
  }

  /** No features were made up, so that nothing is computed. */
  private static Backend unused() {
    return (Backend)
        Proxy.newProxyInstance(
            ReportTest.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, _) -> {
              throw new AssertionError(method);
            });
  }

  private String page() throws IOException {
    return Files.readString(folder.file("index.html"));
  }

  @Test
  void refersToNothingOutside() throws IOException {
    String page = page();
    assertThat(page).doesNotContain("http:", "https:", "url(", "@import", "<script", "<link", "//");
    Matcher references = REFERENCE.matcher(page.replaceAll("base64,[A-Za-z0-9+/=]*", "base64,"));
    List<String> found = new ArrayList<>();
    while (references.find()) {
      found.add(references.group(1));
    }
    assertThat(found)
        .contains("data:image/png;base64,")
        .allMatch(text -> text.startsWith("#") || text.startsWith("data:image/"));
  }

  @Test
  void escapesWhatUsersWrite() throws IOException {
    assertThat(page())
        .contains("&lt;Title&gt;", "emoji &lt;x&gt;", "&lt;i&gt;floor&lt;/i&gt;", "A &amp; B")
        .contains("a &quot;cat&quot;, &lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;dog&#39; ")
        .doesNotContain("<b>", "<i>", "<x>", "\u0007");
  }

  /** Balanced tags: an XML parser reads the body once void elements are closed. */
  @Test
  void isWellFormed() throws Exception {
    String page = page();
    String body = page.substring(page.indexOf("<body>"));
    body = body.substring(0, body.indexOf("</html>"));
    body = body.replaceAll("<(img|br)([^>]*)>", "<$1$2/>").replace("&nbsp;", " ");
    assertThat(
            DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(body)))
                .getElementsByTagName("svg")
                .getLength())
        .isPositive();
  }

  /**
   * PSNR of prompts 21, 22 and 23 dB on average: mean 22, and Student's t of two degrees of
   * freedom, 4.3027, times the standard error sqrt(1/3).
   */
  @Test
  void showsMeansWithIntervals() throws IOException {
    double half = 4.30265 / Math.sqrt(3);
    assertThat(page()).contains("22.00<span class=\"pm\"> ± %.2f</span>".formatted(half));
    JsonObject json = JsonObject.read(folder.file("summary.json"));
    @SuppressWarnings("unchecked")
    Map<String, Object> first = (Map<String, Object>) json.list("cells").getFirst();
    JsonObject psnr = new JsonObject(json.source(), "", first).object("metrics").object("psnr");
    assertThat(psnr.number("mean")).isEqualTo(22);
    assertThat(psnr.number("high") - 22)
        .isCloseTo(half, org.assertj.core.api.Assertions.within(1e-4));
  }

  /** The same pictures are 4 dB nearer under the other policy, all of them. */
  @Test
  void saysWhereHeatKvIsBehind() throws IOException {
    assertThat(page()).contains("<td class=\"behind\">−4.00<span class=\"pm\"> ± 0.00</span></td>");
  }

  @Test
  void writesMarkdown() throws IOException {
    assertThat(Files.readAllLines(folder.file("summary.md")))
        .contains("### PSNR (dB), higher is better", "| policy | 20 % | 10 % |")
        .contains("| heatkv | 24.00 ± 2.48 | 22.00 ± 2.48 |", "| <b> | – | −4.00 ± 0.00 |");
  }

  /** Two prompts are seen at once; figures come behind them. */
  @Test
  void showsPicturesEarly() throws IOException {
    String page = page();
    assertThat(page)
        .containsSubsequence(
            "<h2>Pictures</h2>",
            "a &quot;cat&quot;",
            "“two”",
            "<details><summary>1 more prompt</summary>",
            "“three”",
            "</details>",
            "<h2>All figures</h2>");
  }

  /** Text stays readable on the hottest field: 4.5 to 1 of WCAG, in light and in dark mode. */
  @Test
  void heatMapsCanBeRead() throws IOException {
    String page = page();
    String[] modes = page.split("prefers-color-scheme: dark", 2);
    for (String mode : modes) {
      double[] ink = hex(value(mode, "--ink: #(\\w{6})"));
      double[] paper = hex(value(mode, "--paper: #(\\w{6})"));
      String[] hot = value(mode, "--hot: ([\\d, ]+)").split(", ");
      double share = Double.parseDouble(value(mode, "--heat: ([.\\d]+)"));
      double[] field = new double[3];
      for (int c = 0; c < 3; c++) {
        field[c] = share * Double.parseDouble(hot[c]) / 255 + (1 - share) * paper[c];
      }
      double lighter = Math.max(luminance(ink), luminance(field));
      double darker = Math.min(luminance(ink), luminance(field));
      assertThat((lighter + 0.05) / (darker + 0.05)).isGreaterThan(4.5);
    }
  }

  private static String value(String css, String pattern) {
    Matcher matcher = Pattern.compile(pattern).matcher(css);
    assertThat(matcher.find()).as(pattern).isTrue();
    return matcher.group(1);
  }

  private static double[] hex(String colour) {
    double[] parts = new double[3];
    for (int c = 0; c < 3; c++) {
      parts[c] = Integer.parseInt(colour.substring(2 * c, 2 * c + 2), 16) / 255.0;
    }
    return parts;
  }

  /** Relative luminance of sRGB, WCAG 2.1. */
  private static double luminance(double[] colour) {
    double[] linear = new double[3];
    for (int c = 0; c < 3; c++) {
      linear[c] =
          colour[c] <= 0.04045 ? colour[c] / 12.92 : Math.pow((colour[c] + 0.055) / 1.055, 2.4);
    }
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  /** Ours beside the published: 24 dB were made up for HeatKV at 20 %. */
  @Test
  void laysPublishedFiguresBeside() throws IOException {
    String page = page();
    String row = page.substring(page.indexOf("<tr class=\"own\"><td>heatkv</td><td>20%</td>"));
    row = row.substring(0, row.indexOf("</tr>"));
    assertThat(row).contains("<td>30.00</td><td>24.00<", "<td>0.25</td><td>not measured</td>");
    // Measured, but not published.
    row = page.substring(page.indexOf("<tr><td>&lt;i&gt;</td><td>20%</td>"));
    row = row.substring(0, row.indexOf("</tr>"));
    assertThat(row).contains("<td>–</td><td>28.00<", "<td>–</td><td>not measured</td>");
    assertThat(page).contains("LPIPS: no model file was given");
  }

  /** RFC 4180: a quoted field keeps commas, quotes and line ends. */
  @Test
  void tablesAreWellFormed() throws IOException {
    String csv = Files.readString(folder.file("results.csv"));
    List<List<String>> rows = parse(csv);
    assertThat(rows)
        .hasSize(1 + 6 * 5)
        .allSatisfy(row -> assertThat(row).hasSameSizeAs(rows.getFirst()));
    assertThat(rows.get(1).get(1)).isEqualTo(EVIL);
    assertThat(rows.get(1).subList(2, 5)).containsExactly("7", "full", "");
    int psnr = rows.getFirst().indexOf("psnr");
    assertThat(rows.get(2).get(psnr)).isEqualTo("20");
    List<List<String>> summary = parse(Files.readString(folder.file("summary.csv")));
    assertThat(summary)
        .hasSize(5)
        .allSatisfy(row -> assertThat(row).hasSameSizeAs(summary.getFirst()));
  }

  private static List<List<String>> parse(String csv) {
    List<List<String>> rows = new ArrayList<>();
    List<String> row = new ArrayList<>();
    StringBuilder field = new StringBuilder();
    boolean quoted = false;
    for (int i = 0; i < csv.length(); i++) {
      char c = csv.charAt(i);
      if (quoted && c == '"' && csv.startsWith("\"\"", i)) {
        field.append('"');
        i++;
      } else if (c == '"') {
        quoted = !quoted;
      } else if (!quoted && c == ',') {
        row.add(field.toString());
        field.setLength(0);
      } else if (!quoted && c == '\r' && csv.startsWith("\r\n", i)) {
        row.add(field.toString());
        rows.add(row);
        row = new ArrayList<>();
        field.setLength(0);
        i++;
      } else {
        field.append(c);
      }
    }
    assertThat(field).isEmpty();
    return rows;
  }
}
