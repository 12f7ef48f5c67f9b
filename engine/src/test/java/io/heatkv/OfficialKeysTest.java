package io.heatkv;

import static org.assertj.core.api.Assertions.assertThat;

import io.heatkv.infinity.PublishedModel;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerKeys;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.infinity.vae.VaeKeys;
import io.heatkv.text.T5Config;
import io.heatkv.text.T5Encoder;
import io.heatkv.var.PublishedVar;
import io.heatkv.var.VarKeys;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqKeys;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Names and shapes against those of the official classes. */
class OfficialKeysTest {
  private static final Pattern RANGE = Pattern.compile("\\{(\\d+)\\.\\.(\\d+)}");

  @ParameterizedTest
  @CsvSource({
    "infinity-2b, infinity_2b, 2204697152",
    "infinity-8b, infinity_8b, 8376082128",
    "infinity-20b, infinity_20b, 19952738920",
    "infinity-125m, infinity_layer12, 125204896",
    "infinity-361m, infinity_layer16, 361671808",
    "infinity-layer24, infinity_layer24, 941020096",
    "infinity-layer32, infinity_layer32, 2256830112",
    "infinity-layer40, infinity_layer40, 4716639616",
    "infinity-layer48, infinity_layer48, 8767524448"
  })
  void transformers(String name, String file, long elements) throws IOException {
    TransformerConfig config = PublishedModel.parse(name).transformer();
    Map<String, long[]> shapes = TransformerKeys.shapes(config, TransformerKeys.poolHeads(config));
    assertThat(texts(shapes)).isEqualTo(official(file));
    assertThat(elements(shapes)).isEqualTo(elements);
  }

  private static long elements(Map<String, long[]> shapes) {
    return shapes.values().stream()
        .mapToLong(shape -> Arrays.stream(shape).reduce(1, Math::multiplyExact))
        .sum();
  }

  @ParameterizedTest
  @CsvSource({
    "16, false, d16",
    "24, false, d24",
    "32, false, d32",
    "64, false, d64",
    "14, true, d56_f8_14_patchify"
  })
  void imageTokenizers(int channels, boolean patchify, String file) throws IOException {
    assertThat(texts(VaeKeys.shapes(VaeConfig.published(channels, patchify))))
        .isEqualTo(official("infinity_vae_" + file));
  }

  @ParameterizedTest
  @CsvSource({
    "d16, 310283520",
    "d20, 600917136",
    "d24, 1033399360",
    "d30, 2010020356",
    "d36, 2353893904"
  })
  void varTransformers(String name, long elements) throws IOException {
    Map<String, long[]> shapes = VarKeys.shapes(PublishedVar.parse("var-" + name).config());
    Map<String, String> expected = official("var_" + name);
    expected
        .keySet()
        .removeIf(key ->
            key.equals("lvl_1L")
                || key.equals("attn_bias_for_masking")
                || key.endsWith(".zero_k_bias"));
    assertThat(texts(shapes)).isEqualTo(expected);
    assertThat(elements(shapes)).isEqualTo(elements);
  }

  @Test
  void varImageTokenizer() throws IOException {
    Map<String, long[]> shapes = VqKeys.shapes(VqConfig.PUBLISHED);
    Map<String, String> expected = official("vae_ch160v4096z32");
    expected.remove("quantize.ema_vocab_hit_SV");
    assertThat(texts(shapes)).isEqualTo(expected);
    assertThat(elements(shapes)).isEqualTo(108948355);
  }

  @Test
  void textEncoder() throws IOException {
    Map<String, String> expected = official("flan-t5-xl_encoder");
    // The second name of the same tensor.
    assertThat(expected.remove("encoder.embed_tokens.weight"))
        .isEqualTo(expected.get("shared.weight"));
    assertThat(texts(T5Encoder.shapes(T5Config.FLAN_T5_XL))).isEqualTo(expected);
  }

  private static Map<String, String> texts(Map<String, long[]> shapes) {
    Map<String, String> texts = new TreeMap<>();
    shapes.forEach((name, shape) ->
        texts.put(
            name, Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(" "))));
    return texts;
  }

  private static Map<String, String> official(String name) throws IOException {
    Path file = TestDevice.resource("/official-keys/" + name + ".txt");
    Map<String, String> shapes = new TreeMap<>();
    for (String line : Files.readAllLines(file)) {
      int space = line.indexOf(' ');
      expand(line.substring(0, space), line.substring(space + 1), shapes);
    }
    return shapes;
  }

  private static void expand(String name, String shape, Map<String, String> shapes) {
    Matcher range = RANGE.matcher(name);
    if (!range.find()) {
      shapes.put(name, shape);
      return;
    }
    for (int i = Integer.parseInt(range.group(1)); i <= Integer.parseInt(range.group(2)); i++) {
      expand(range.replaceFirst(Integer.toString(i)), shape, shapes);
    }
  }
}
