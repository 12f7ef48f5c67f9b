package io.heatkv.calibrate;

import io.heatkv.error.UserException;
import io.heatkv.tensor.Backend;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/** A backend that has memory for a number of tensors only. */
public final class ExhaustedBackend {
  private final Backend whole;
  private int left;

  public ExhaustedBackend(Backend whole, int tensors) {
    this.whole = whole;
    left = tensors;
  }

  public Backend backend() {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, this::invoke);
  }

  private Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
    if (method.getName().equals("empty") && left-- == 0) {
      throw new UserException("no memory is left");
    }
    try {
      return method.invoke(whole, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
