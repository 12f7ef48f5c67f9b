package io.heatkv.cli.console;

import io.heatkv.resource.Release;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints. */
public final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() {
    return new String[] {"heatkv " + Release.version(), "Java " + Runtime.version()};
  }
}
