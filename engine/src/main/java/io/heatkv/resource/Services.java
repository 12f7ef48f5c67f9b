package io.heatkv.resource;

import io.heatkv.error.UserException;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

/** What jars provide, by {@link ServiceLoader}. */
public final class Services {
  private Services() {}

  /**
   * All providers that the thread's class loader finds, or ours where it has another engine.
   *
   * @param what one is, for the message
   * @throws UserException if one can't be loaded
   */
  public static <T> List<T> all(Class<T> service, String what) {
    try {
      return ServiceLoader.load(service, loader(service)).stream()
          .map(ServiceLoader.Provider::get)
          .toList();
    } catch (ServiceConfigurationError e) {
      throw new UserException("a " + what + " can't be loaded: " + e.getMessage(), e);
    }
  }

  private static ClassLoader loader(Class<?> service) {
    ClassLoader context = Thread.currentThread().getContextClassLoader();
    try {
      if (context != null && context.loadClass(service.getName()) == service) {
        return context;
      }
    } catch (ClassNotFoundException _) {
      // Sees no engine.
    }
    return service.getClassLoader();
  }
}
