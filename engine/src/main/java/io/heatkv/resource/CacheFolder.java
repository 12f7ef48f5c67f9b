package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Where unpacked files are kept between runs: one folder that no other user can write. */
public final class CacheFolder {
  /** Environment variable that names the folder. */
  public static final String VARIABLE = "HEATKV_CACHE";

  private static final String HELP = "; name a folder of your own with " + VARIABLE;
  private static final int STICKY = 01000;
  private static final int WRITABLE_BY_OTHERS = 022;

  private CacheFolder() {}

  /**
   * The folder named by the system property {@code heatkv.cache} or the environment variable {@code
   * HEATKV_CACHE}, else the platform's usual one. It may not exist yet.
   *
   * @throws UserException if none is named and the user has no home folder
   */
  public static Path locate() {
    return locate(
        System.getProperty("heatkv.cache", System.getenv(VARIABLE)),
        System.getenv(),
        System.getProperty("user.home"),
        System.getProperty("os.name", ""));
  }

  /** As {@link #locate()}, of what a process may be told. */
  static Path locate(
      @Nullable String named, Map<String, String> environment, @Nullable String home, String os) {
    if (named != null && !named.isBlank()) {
      Path path = path(named);
      if (path == null) {
        throw new UserException(VARIABLE + " '" + named + "' is no path that Java can read" + HELP);
      }
      return path.toAbsolutePath();
    }
    String system = os.toLowerCase(Locale.ROOT);
    if (system.contains("mac")) {
      return home(home, environment).resolve("Library/Caches/heatkv");
    }
    // The rule for XDG_CACHE_HOME: a relative one is passed over.
    Path usual = path(environment.get("XDG_CACHE_HOME"));
    if (usual == null || !usual.isAbsolute()) {
      usual = home(home, environment).resolve(".cache");
    }
    return usual.resolve("heatkv");
  }

  /** What Java says, else HOME. For a user without an account Java says {@code ?}. */
  private static Path home(@Nullable String home, Map<String, String> environment) {
    Set<String> told = new LinkedHashSet<>();
    for (String text : Stream.of(home, environment.get("HOME")).filter(Objects::nonNull).toList()) {
      Path path = path(text);
      // The root folder is what accounts without a home have.
      if (path != null && path.isAbsolute() && path.getNameCount() > 0 && isTrusted(path)) {
        return path;
      }
      told.add("'" + text + "'");
    }
    throw new UserException(
        "cache folder: there is no home folder of yours to hold it ("
            + String.join(", ", told)
            + ")"
            + HELP);
  }

  private static boolean isTrusted(Path folder) {
    try {
      return Files.isDirectory(folder)
          && (!isPosix(folder) || Owner.of(folder.toRealPath()).isTrusted());
    } catch (IOException _) {
      return false;
    }
  }

  private static @Nullable Path path(@Nullable String text) {
    try {
      return text == null || text.isBlank() ? null : Path.of(text);
    } catch (InvalidPathException _) {
      return null;
    }
  }

  /**
   * The folder, made if it is missing. In one that others can write and that isn't this user's to
   * close, such as {@code /tmp} or a container's volume, a folder of this user alone.
   *
   * @throws UserException if it can't be made, or other users could change what lies in it
   */
  public static Path secure(Path folder) {
    try {
      make(folder);
      Path real = folder.toRealPath();
      if (!isPosix(real)) {
        return real;
      }
      Owner owner = check(real);
      if (!isWritableByOthers(real)) {
        return real;
      }
      if (owner.isMe() && (mode(real) & STICKY) == 0) {
        throw new UserException(
            "cache folder %s can be written by other users (%s); chmod go-w it, or name a folder inside it with %s"
                .formatted(real, permissions(real), VARIABLE));
      }
      return secureBelow(real, "heatkv-" + Owner.me().getName());
    } catch (IOException e) {
      throw new UserException(
          "cache folder "
              + folder
              + " can't be made ("
              + reason(e)
              + "); name a folder that can be written with "
              + VARIABLE,
          e);
    }
  }

  /**
   * A folder inside a secured one, made if it is missing.
   *
   * @throws UserException if it isn't this user's alone
   * @throws IOException if it can't be made
   */
  static Path secureBelow(Path secured, String name) throws IOException {
    Path folder = secured.resolve(name);
    make(folder);
    if (isPosix(folder)) {
      check(folder);
      if (isWritableByOthers(folder) || Files.isSymbolicLink(folder)) {
        throw new UserException(
            "cache folder %s isn't only yours (%s); remove it, or chmod go-w it"
                .formatted(folder, permissions(folder)));
      }
    }
    return folder;
  }

  private static Owner check(Path folder) throws IOException {
    Owner owner = Owner.of(folder);
    if (!owner.isTrusted()) {
      throw new UserException(
          "cache folder %s belongs to another user (%s)%s"
              .formatted(folder, owner.user().getName(), HELP));
    }
    return owner;
  }

  private static void make(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      Files.createDirectories(folder, permissions(folder, "rwxr-xr-x"));
    }
  }

  /** Permissions of a new file, as the file system has them. */
  static FileAttribute<?>[] permissions(Path file, String permissions) {
    return isPosix(file)
        ? new FileAttribute<?>[] {
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
        }
        : new FileAttribute<?>[0];
  }

  static boolean isPosix(Path file) {
    return file.getFileSystem().supportedFileAttributeViews().contains("unix");
  }

  private static boolean isWritableByOthers(Path folder) throws IOException {
    return (mode(folder) & WRITABLE_BY_OTHERS) != 0;
  }

  private static int mode(Path folder) throws IOException {
    return (int) Files.getAttribute(folder, "unix:mode", LinkOption.NOFOLLOW_LINKS);
  }

  private static String permissions(Path folder) throws IOException {
    return PosixFilePermissions.toString(
        Files.getPosixFilePermissions(folder, LinkOption.NOFOLLOW_LINKS));
  }

  /** What a file system says, without the path that the message already has. */
  static String reason(IOException e) {
    String reason = e instanceof FileSystemException file ? file.getReason() : e.getMessage();
    return reason != null ? reason : e.getClass().getSimpleName().replace("Exception", "");
  }

  /** Who owns a file; by number where the user has no account. */
  private record Owner(UserPrincipal user, int id) {
    private static final Path PROCESS = Path.of("/proc/self");

    static Owner of(Path file) throws IOException {
      return new Owner(
          Files.getOwner(file, LinkOption.NOFOLLOW_LINKS),
          (int) Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS));
    }

    static UserPrincipal me() throws IOException {
      return Files.exists(PROCESS)
          ? Files.getOwner(PROCESS)
          : PROCESS
              .getFileSystem()
              .getUserPrincipalLookupService()
              .lookupPrincipalByName(System.getProperty("user.name"));
    }

    boolean isMe() throws IOException {
      return user.equals(me());
    }

    /** The system's administrator could change anything anyway. */
    boolean isTrusted() throws IOException {
      return id == 0 || isMe();
    }
  }
}
