package io.heatkv.tensor;

import java.util.ArrayList;
import org.jspecify.annotations.Nullable;

/**
 * Owns tensors and frees them when closed.
 *
 * <p>Scopes opened with {@link #open()} form a stack on their thread, as try-with-resources blocks
 * do; the result of an operator belongs to the innermost one. {@link #detached()} makes a scope
 * outside the stack, for weights and caches that outlive a call; tensors enter it by {@link
 * #adopt}. A scope is used by one thread at a time.
 */
public final class Scope implements AutoCloseable {
  // The only state that isn't passed as an argument: operators stay readable as formulas.
  private static final ThreadLocal<@Nullable Scope> CURRENT = new ThreadLocal<>();

  private final @Nullable Scope parent;
  private final boolean stacked;
  private final ArrayList<Tensor> owned = new ArrayList<>();
  private boolean closed;

  private Scope(@Nullable Scope parent, boolean stacked) {
    this.parent = parent;
    this.stacked = stacked;
  }

  /** Opens a scope on this thread; results of operators belong to it until it is closed. */
  public static Scope open() {
    Scope scope = new Scope(CURRENT.get(), true);
    CURRENT.set(scope);
    return scope;
  }

  /** A scope outside the thread's stack, filled by {@link #adopt} only. */
  public static Scope detached() {
    return new Scope(null, false);
  }

  /** Moves {@code tensor} from the scope that owns it into this one. */
  public Tensor adopt(Tensor tensor) {
    if (closed) {
      throw new IllegalStateException("the scope is closed");
    }
    tensor.scope().remove(tensor);
    add(tensor);
    return tensor;
  }

  /**
   * Moves {@code tensor} into the enclosing scope, so that it survives this one.
   *
   * @throws IllegalStateException if no scope encloses this one
   */
  public Tensor keep(Tensor tensor) {
    if (parent == null) {
      throw new IllegalStateException("no enclosing scope to keep the tensor in");
    }
    return parent.adopt(tensor);
  }

  /** The innermost open scope of this thread. */
  static Scope current() {
    Scope scope = CURRENT.get();
    if (scope == null) {
      throw new IllegalStateException("no open Scope on this thread");
    }
    return scope;
  }

  void add(Tensor tensor) {
    tensor.moveTo(this, owned.size());
    owned.add(tensor);
  }

  /** Takes {@code tensor} out by swapping the last one into its place. */
  void remove(Tensor tensor) {
    int place = tensor.place();
    Tensor last = owned.removeLast();
    if (last != tensor) {
      owned.set(place, last);
      last.moveTo(this, place);
    }
  }

  /** Frees all tensors owned; a second call does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (stacked) {
      if (CURRENT.get() != this) {
        throw new IllegalStateException("scopes must be closed in reverse order of opening");
      }
      CURRENT.set(parent);
    }
    for (int i = owned.size() - 1; i >= 0; i--) {
      owned.get(i).free();
    }
    owned.clear();
  }
}
