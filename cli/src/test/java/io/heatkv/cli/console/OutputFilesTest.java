package io.heatkv.cli.console;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.error.UserException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OutputFilesTest {
  @TempDir Path folder;

  @Test
  void onlySeveralPicturesAreNumbered() {
    Path a = folder.resolve("a.b.PNG");
    assertThat(new OutputFiles(a, 1).pictures(0, 1)).containsExactly(a);
    assertThat(new OutputFiles(a, 2).picture(0)).isEqualTo(folder.resolve("a.b-1.PNG"));
    OutputFiles several = new OutputFiles(a, 3);
    assertThat(several.pictures(1, 2))
        .isEqualTo(List.of(folder.resolve("a.b-2.PNG"), folder.resolve("a.b-3.PNG")));
    assertThat(OutputFiles.scale(several.picture(0), 9))
        .isEqualTo(folder.resolve("a.b-1.scale-10.PNG"));
  }

  @Test
  void moreBytesThanAreFreeAreRefused() {
    OutputFiles files = new OutputFiles(folder.resolve("a.png"), 1);
    files.requireWritable(0);
    assertThatThrownBy(() -> files.requireWritable(1L << 60))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("up to 1048576.0 TiB are needed");
    assertThat(folder).isEmptyDirectory();
  }
}
