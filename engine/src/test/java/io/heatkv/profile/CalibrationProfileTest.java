package io.heatkv.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.schedule.CalibrationSetup;
import io.heatkv.schedule.HeadOrders;
import io.heatkv.schedule.HeadScores;
import io.heatkv.schedule.HeadScoresTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CalibrationProfileTest {
  private static final String SCALES = "1x1,2x2,3x3,4x4,5x5";
  @TempDir Path folder;

  private static CalibrationSetup setup(
      String fingerprint, String scales, int sink, double cfg, double tau, double topP) {
    return new CalibrationSetup(
        "model",
        fingerprint,
        3,
        2,
        ScaleGrids.parse(scales),
        sink,
        List.of(cfg),
        List.of(tau),
        topP);
  }

  private static CalibrationSetup setup() {
    return setup("ab12", SCALES, 1, 3, 1, 0.97);
  }

  /** A calibration of some prompts, written and read again. */
  private CalibrationProfile finished(String name, CalibrationSetup setup, int prompts) {
    List<String> texts = Collections.nCopies(prompts, name);
    CalibrationProfile profile = CalibrationProfile.start(setup, PromptSet.of(texts, 0));
    SplittableRandom random = new SplittableRandom(name.hashCode());
    for (int i = 0; i < prompts; i++) {
      profile = profile.plus(HeadScoresTest.random(random, 5, 3, 2));
    }
    Path file = folder.resolve(name + ".heatkv.json");
    profile.write(file);
    return CalibrationProfile.read(file);
  }

  private byte[] bytes(CalibrationProfile profile) throws IOException {
    Path file = folder.resolve("bytes.json");
    profile.write(file);
    return Files.readAllBytes(file);
  }

  @Test
  void readGivesWhatWasWritten() throws IOException {
    CalibrationProfile profile = finished("a", setup(), 3);
    assertThat(profile.setup()).isEqualTo(setup());
    assertThat(profile.promptSets()).containsExactly(PromptSet.of(List.of("a", "a", "a"), 0));
    assertThat(profile.promptsDone()).isEqualTo(3);
    assertThat(bytes(profile)).isEqualTo(Files.readAllBytes(folder.resolve("a.heatkv.json")));
    HeadOrders orders = OrdersFile.read(folder.resolve("a.heatkv.json"), 3, 2, 1, 3);
    assertThat(orders).isEqualTo(profile.orders());
    assertThatThrownBy(() -> OrdersFile.read(folder.resolve("a.heatkv.json"), 3, 2, 0, 3))
        .isInstanceOf(UserException.class)
        .hasMessageEndingWith(
            "is of 3 layers, 2 heads, source scales 1 to 3; expected 3, 2, 0 to 3");
    Path nowhere = folder.resolve("none/a.heatkv.json");
    assertThatThrownBy(() -> profile.write(nowhere))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(nowhere + ": can't be written (");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder("a.heatkv.json", "bytes.json");
    }
  }

  @Test
  void mergedInAnyOrderGivesTheSameBytes() throws IOException {
    List<CalibrationProfile> parts = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      parts.add(finished("part" + i, setup().named("model" + i % 3), i + 1));
    }
    byte[] expected = bytes(CalibrationProfile.merge(parts));
    for (long seed = 0; seed < 20; seed++) {
      Collections.shuffle(parts, new Random(seed));
      CalibrationProfile left = CalibrationProfile.merge(parts.subList(0, 2));
      CalibrationProfile right = CalibrationProfile.merge(parts.subList(2, 6));
      assertThat(bytes(CalibrationProfile.merge(parts))).as("seed %s", seed).isEqualTo(expected);
      assertThat(bytes(CalibrationProfile.merge(List.of(right, left))))
          .as("seed %s", seed)
          .isEqualTo(expected);
    }
    CalibrationProfile merged = CalibrationProfile.read(folder.resolve("bytes.json"));
    assertThat(merged.promptsDone()).isEqualTo(21);
    assertThat(merged.promptSets()).hasSize(6);
    long sum = parts.stream().mapToLong(part -> part.scores().sum(2, 1, 1)).sum();
    assertThat(merged.scores().sum(2, 1, 1)).isEqualTo(sum);
  }

  /** Prompts one by one, or in two halves on two machines: the same sums. */
  @Test
  void halvesAddUpToTheWhole() {
    HeadScores whole = HeadScores.none(3, 2, 5, 1);
    HeadScores[] halves = {whole, whole};
    SplittableRandom random = new SplittableRandom(5);
    for (int i = 0; i < 40; i++) {
      double[][][][] masses = HeadScoresTest.random(random, 5, 3, 2);
      whole = whole.plus(masses);
      halves[i % 2] = halves[i % 2].plus(masses);
    }
    HeadScores added = halves[1].plus(halves[0]);
    for (int l = 0; l < 3; l++) {
      assertThat(added.sum(1, l, 0)).isEqualTo(whole.sum(1, l, 0));
      assertThat(added.score(3, l, 1)).isEqualTo(whole.score(3, l, 1));
    }
    assertThat(added.orders()).isEqualTo(whole.orders());
  }

  @Test
  void journalGoesOnWhereItStopped() throws IOException {
    PromptSet prompts = PromptSet.of(List.of("x", "y", "z"), 7);
    Path file = folder.resolve("journal.heatkv.json");
    CalibrationProfile profile = CalibrationProfile.resume(file, setup(), prompts);
    SplittableRandom random = new SplittableRandom(3);
    CalibrationProfile atOnce = profile;
    for (int i = 0; i < 3; i++) {
      double[][][][] masses = HeadScoresTest.random(random, 5, 3, 2);
      atOnce = atOnce.plus(masses);
      profile.write(file);
      profile = CalibrationProfile.resume(file, setup(), prompts);
      assertThat(profile.promptsDone()).isEqualTo(i);
      assertThat(profile.isComplete()).isFalse();
      profile = profile.plus(masses);
    }
    assertThat(profile.isComplete()).isTrue();
    assertThat(bytes(profile)).isEqualTo(bytes(atOnce));
    CalibrationProfile complete = profile;
    assertThatThrownBy(() -> complete.plus(new double[0][][][]))
        .isInstanceOf(IllegalStateException.class);
    PromptSet others = PromptSet.of(List.of("x", "y", "z"), 8);
    assertThatThrownBy(() -> CalibrationProfile.resume(file, setup(), others))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(file + " is of other prompts (SHA-256 " + prompts.sha256())
        .hasMessageContaining(others.sha256());
    assertThatThrownBy(
            () -> CalibrationProfile.resume(file, setup("ab", SCALES, 1, 3, 1, 0.97), prompts))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("has model fingerprint ab12, but this calibration has ab;");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ff|1x1,2x2,3x3,4x4,5x5|1|3|1|0.97|model fingerprint ff|ab12",
        "ab12|1x1,2x2,3x3,4x4,6x5|1|3|1|0.97" + "|scales 1x1,2x2,3x3,4x4,6x5|1x1,2x2,3x3,4x4,5x5",
        "ab12|1x1,2x2,3x3,4x4,5x5|2|3|1|0.97|sink scales 2|1",
        "ab12|1x1,2x2,3x3,4x4,5x5|1|4|1|0.97|cfg [4.0]|[3.0]",
        "ab12|1x1,2x2,3x3,4x4,5x5|1|3|2|0.97|tau [2.0]|[1.0]",
        "ab12|1x1,2x2,3x3,4x4,5x5|1|3|1|0.9|top-p 0.9|0.97",
      })
  void othersAreRefusedNamingBothSides(
      String fingerprint,
      String scales,
      int sink,
      double cfg,
      double tau,
      double topP,
      String mine,
      String others) {
    CalibrationProfile a = finished("a", setup(), 1);
    CalibrationProfile b = finished("b", setup(fingerprint, scales, sink, cfg, tau, topP), 1);
    assertThatThrownBy(() -> CalibrationProfile.merge(List.of(a, b)))
        .isInstanceOf(UserException.class)
        .hasMessageStartingWith(
            folder.resolve("b.heatkv.json")
                + " has "
                + mine
                + ", but "
                + folder.resolve("a.heatkv.json")
                + " has "
                + others
                + ";");
  }

  @Test
  void noPromptsAreCountedTwice() {
    CalibrationProfile a = finished("a", setup(), 2);
    CalibrationProfile b = finished("b", setup(), 2);
    CalibrationProfile merged = CalibrationProfile.merge(List.of(a, b));
    assertThatThrownBy(() -> CalibrationProfile.merge(List.of(merged, b)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("both count the prompts of SHA-256 " + b.promptsSha256());
    assertThatThrownBy(() -> CalibrationProfile.merge(List.of(a, a)))
        .isInstanceOf(UserException.class);
    assertThatThrownBy(() -> CalibrationProfile.merge(List.of())).isInstanceOf(UserException.class);
    CalibrationProfile unfinished =
        CalibrationProfile.start(setup(), PromptSet.of(List.of("c", "d"), 0));
    assertThatThrownBy(() -> CalibrationProfile.merge(List.of(a, unfinished)))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("has done 0 of 2 prompts");
  }

  /** Each edit of a sound file is noticed; the message says what is wrong, in one line. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "heatkv-profile|heatkv|is no calibration profile",
        "\"version\" : 2|\"version\" : 3|has version 3",
        "ab12|AB12|fingerprint is wrong",
        "\"layers\" : 3|\"layers\" : 2|sums have a wrong shape",
        "\"layers\" : 3|\"layers\" : 500000|sums have a wrong shape",
        "\"heads\" : 2|\"heads\" : 16777216|layers of 16777216 heads",
        "\"heads\" : 2|\"heads\" : -2|heads is -2",
        "1x1,2x2|1x1,2|is not ROWSxCOLUMNS",
        "1x1,2x2|abc,2x2|scale_schedule can't be read",
        "1x1,2x2|9x9,2x2|is smaller than the one before",
        "\"sink_scales\" : 1|\"sink_scales\" : 2|sums have a wrong shape",
        "\"sink_scales\" : 1|\"sink_scales\" : 4|sink scales 4",
        "\"sink_scales\" : 1|\"sink_scales\" : 0.5|sink_scales is 0.5",
        "\"top_p\" : 0.97|\"top_p\" : 7|top-p",
        "\"top_p\"|\"topp\"|top_p is missing",
        "\"prompts\" : 2|\"prompts\" : 3|contradict",
        "\"prompts_done\" : 2|\"prompts_done\" : 1|impossible or contradict",
        "\"prompts_done\" : 2|\"prompts_done\" : 3|contradict",
        "\"prompts_sha256\" : \"|\"prompts_sha256\" : \"0|contradict",
        "\"sha256\" : \"|\"sha256\" : \"0|SHA-256",
        "\"sums\" : [ [ [ |\"sums\" : [ [ [ 1|contradict or impossible or 64-bit or wrong shape",
        "\"sums\" : [ [ [ |\"sums\" : [ [ [ -|impossible",
        "\"sums\" : [ [ [ |\"sums\" : [ [ [ 0.5, |wrong shape",
        "\"scores\" : [ [ [ 0|\"scores\" : [ [ [ 1|scores and sums contradict",
        "\"orders\" : [ [ [ |\"orders\" : [ [ [ 7|has head 7",
        "\"orders\" : [ [ |\"orders\" : [ [ [0,0], |has 7 entries",
      })
  void editedFilesAreRefused(String from, String to, String messages) throws IOException {
    finished("a", setup(), 2);
    Path file = folder.resolve("a.heatkv.json");
    String text = Files.readString(file);
    assertThat(text).contains(from);
    Files.writeString(file, text.replaceFirst(Pattern.quote(from), to));
    assertThatThrownBy(() -> CalibrationProfile.read(file))
        .isInstanceOf(UserException.class)
        .message()
        .startsWith(file + ": ")
        .hasLineCount(1)
        .satisfies(refusal -> assertThat(messages.split(" or ")).anyMatch(refusal::contains));
  }

  /** Whatever bytes a file holds, reading ends with a profile or one line. */
  @Test
  void damagedBytes() throws IOException {
    finished("a", setup(), 2);
    Path file = folder.resolve("a.heatkv.json");
    String noise = "0123456789,[]{}\".e-x\n";
    byte[] sound = Files.readAllBytes(file);
    for (long seed = 0; seed < 600; seed++) {
      SplittableRandom random = new SplittableRandom(seed);
      byte[] damaged = sound.clone();
      for (int i = 0; i < random.nextInt(1, 4); i++) {
        damaged[random.nextInt(damaged.length)] =
            "0123456789,[]{}\".e-x\n".getBytes()[random.nextInt(21)];
      }
      Files.write(file, damaged);
      try {
        CalibrationProfile profile = CalibrationProfile.read(file);
        assertThat(profile.promptsDone()).as("seed %s", seed).isEqualTo(2);
      } catch (UserException e) {
        assertThat(e.getMessage()).as("seed %s", seed).startsWith(file.toString()).hasLineCount(1);
      }
    }
  }
}
