package io.heatkv.load;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.heatkv.checkpoint.ShardedWriter;
import io.heatkv.error.UserException;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Families of other jars stand beside our own if their names are their own. */
class ModelFamiliesTest {
  @TempDir private Path folder;

  /** A family of a name and a size that nothing is put together of. */
  public abstract static class Empty implements ModelFamily {
    private final String name;
    private final String size;

    Empty(String name, String size) {
      this.name = name;
      this.size = size;
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public List<Network> networks() {
      return List.of();
    }

    @Override
    public FoundModel find(ModelFiles files) {
      throw new UnsupportedOperationException();
    }

    @Override
    public List<String> sizes() {
      return List.of(size);
    }

    @Override
    public RandomModel random(String wanted) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void synthesize(Synthesis what, Path target, ShardedWriter.Progress progress) {
      throw new UnsupportedOperationException();
    }
  }

  public static final class Star extends Empty {
    public Star() {
      super("star", "star-1024");
    }
  }

  public static final class SecondVar extends Empty {
    public SecondVar() {
      super("var", "second-var");
    }
  }

  public static final class OtherD30 extends Empty {
    public OtherD30() {
      super("other", "var-d30");
    }
  }

  public static final class Misnamed extends Empty {
    public Misnamed() {
      super("Two\nlines", "misnamed");
    }
  }

  private List<String> namesWith(Class<? extends ModelFamily> added) throws IOException {
    Path services = folder.resolve("META-INF/services").resolve(ModelFamily.class.getName());
    Files.createDirectories(services.getParent());
    Files.writeString(services, added.getName());
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()}, before)) {
      thread.setContextClassLoader(loader);
      return ModelFamilies.all().stream().map(ModelFamily::name).toList();
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  @Test
  void anotherJarsFamilyIsFound() throws IOException {
    assertThat(namesWith(Star.class)).containsExactly("infinity", "star", "var");
    assertThat(ModelFamilies.all().stream().map(ModelFamily::name))
        .containsExactly("infinity", "var");
  }

  @Test
  void aNameThatAnotherHasIsRefused() {
    assertThatThrownBy(() -> namesWith(SecondVar.class))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("provides a model family 'var' as ")
        .hasMessageContaining(SecondVar.class.getName());
    assertThatThrownBy(() -> namesWith(OtherD30.class))
        .isInstanceOf(UserException.class)
        .hasMessageContaining("provides models of size 'var-d30' as ")
        .hasMessageContaining(OtherD30.class.getName());
  }

  @Test
  void aNameIsSmallLettersDigitsAndHyphens() {
    assertThatThrownBy(() -> namesWith(Misnamed.class))
        .isInstanceOf(UserException.class)
        .hasMessage(
            Misnamed.class.getName()
                + " provides a model family 'Two?lines'; it needs a name of its own of small"
                + " letters, digits and hyphens");
  }

  /** A thread whose loader has another engine finds this engine's own families. */
  @Test
  void aLoaderThatSeesNoEngineIsPassedOver() throws IOException {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    try (URLClassLoader blind = new URLClassLoader(new URL[0], null)) {
      thread.setContextClassLoader(blind);
      assertThat(ModelFamilies.all()).hasSize(2);
    } finally {
      thread.setContextClassLoader(before);
    }
  }
}
