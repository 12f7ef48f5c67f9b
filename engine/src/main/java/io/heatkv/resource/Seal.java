package io.heatkv.resource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;

/**
 * Says that a folder's files are those whose content was once compared: by size, dates and number,
 * the date of the last change to a file's state among them, which no program can set. A start so
 * needn't read hundreds of megabytes; a copy of the folder, which has other dates, is read once.
 *
 * @param root the cache folder
 * @param name of the folder in it
 */
record Seal(Path root, String name) {
  /** Whether nothing touched the files since {@link #close}. */
  boolean holds(List<String> names) {
    Path file = file();
    try {
      return Files.isRegularFile(file) && Files.readString(file).equals(state(names));
    } catch (IOException _) {
      return false;
    }
  }

  /** Keeps the state of files that were just compared. */
  void close(List<String> names) throws IOException {
    Path temporary = Unpacking.newFile(root);
    try {
      Files.writeString(temporary, state(names));
      Files.move(temporary, file(), StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  private Path file() {
    return root.resolve(name + ".seal");
  }

  private String state(List<String> names) throws IOException {
    StringBuilder text = new StringBuilder();
    for (String each : names) {
      Path member = root.resolve(name).resolve(each);
      Map<String, Object> attributes =
          Files.readAttributes(
              member,
              CacheFolder.isPosix(member)
                  ? "unix:size,lastModifiedTime,ctime,ino"
                  : "size,lastModifiedTime,creationTime");
      text.append(each);
      attributes.keySet().stream()
          .sorted()
          .forEach(key -> text.append(' ').append(attributes.get(key)));
      text.append('\n');
    }
    return text.toString();
  }
}
