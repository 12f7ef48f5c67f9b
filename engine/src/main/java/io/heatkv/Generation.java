package io.heatkv;

import io.heatkv.cache.KvCache;
import io.heatkv.cache.KvMemory;
import io.heatkv.cache.KvShape;
import io.heatkv.error.UserException;
import io.heatkv.family.Conditioning;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.Pass;
import io.heatkv.family.PictureRequest;
import io.heatkv.family.Pixels;
import io.heatkv.family.ScaleObserver;
import io.heatkv.family.TokenChooser;
import io.heatkv.image.PngImage;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.Ops;
import io.heatkv.tensor.Scope;
import io.heatkv.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Pictures being drawn, scale by scale.
 *
 * <pre>{@code
 * try (Generation generation = generator.open(request)) {
 *   while (!generation.isDone()) {
 *     generation.step();
 *   }
 *   List<Picture> pictures = generation.finish().images();
 * }
 * }</pre>
 *
 * <p>All pictures join at the beginning and are at the same scale at any time. A cancelled picture
 * costs nothing from the next scale on; the others' pictures don't change by that. Any thread may
 * cancel or close; steps, previews and the end are taken by one thread at a time, others wait. An
 * error ends the generation: all its memory is free then, as it is after {@link #finish} and {@link
 * #close}.
 */
public final class Generation implements AutoCloseable {
  private final ReentrantLock turn = new ReentrantLock();
  private final NextScaleModel model;
  private final GenerationRequest request;
  private final @Nullable TokenChooser chooser;
  private final ScaleObserver observer;
  private final long fullBytes;
  private final List<String> warnings;
  private final double textMillis;
  private final List<Double> scaleMillis = new ArrayList<>();
  private final Set<Integer> cancelled = ConcurrentHashMap.newKeySet();
  // Of each place in the pass, the index of its picture in the request.
  private final List<Integer> places;
  // The summed codes once all scales are drawn.
  private final Scope drawn = Scope.detached();
  private @Nullable Tensor canvas;
  private Scope chosen = Scope.detached();
  private @Nullable Tensor tokens;
  private @Nullable Pass pass;
  private @Nullable KvCache cache;
  private KvMemory memory = KvMemory.NONE;
  private volatile int scale;
  private volatile boolean ended;
  private volatile boolean closed;

  private Generation(
      NextScaleModel model,
      Conditioning conditioning,
      GenerationRequest request,
      @Nullable TokenChooser chooser,
      ScaleObserver observer,
      long start) {
    this.model = model;
    this.request = request;
    this.chooser = chooser;
    this.observer = observer;
    warnings = conditioning.warnings();
    places = IntStream.range(0, request.images()).boxed().collect(Collectors.toList());
    KvShape shape = model.kvShape(request.images(), request.rowsPerPicture(), request.grids());
    fullBytes = shape.fullBytes();
    try {
      pass = conditioning.begin(request.grids());
      cache = request.policy().plan(shape).open(model.backend(), model.device());
      model.backend().synchronize(model.device());
    } catch (RuntimeException | Error e) {
      free();
      throw e;
    }
    textMillis = millisSince(start);
  }

  /**
   * Encodes the prompts and allocates the cache; nothing is drawn yet.
   *
   * @throws UserException if the request doesn't fit the model, or there is no memory for it
   */
  public static Generation open(NextScaleModel model, GenerationRequest request) {
    long start = System.nanoTime();
    model.requireDrawable(request.grids());
    try (Conditioning conditioning =
        model.encode(request.pictures(), request.rowsPerPicture() > 1)) {
      return new Generation(model, conditioning, request, null, ScaleObserver.NONE, start);
    }
  }

  /**
   * As above, of pictures that are encoded already and with a look at what is computed.
   *
   * @param conditioning of the request's pictures
   * @param chooser takes the place of seeds and sampling; null leaves the choice to them
   */
  public static Generation open(
      NextScaleModel model,
      Conditioning conditioning,
      GenerationRequest request,
      @Nullable TokenChooser chooser,
      ScaleObserver observer) {
    model.requireDrawable(request.grids());
    return new Generation(model, conditioning, request, chooser, observer, System.nanoTime());
  }

  /** The scale that {@link #step} draws next; after the last one, their number. */
  public int scale() {
    return scale;
  }

  /** Whether nothing is left to step: all scales are drawn, no picture is left, or it is closed. */
  public boolean isDone() {
    return ended || closed || cancelled.size() == request.images();
  }

  /** Indices of the pictures that aren't cancelled, ascending. */
  public List<Integer> pictures() {
    return IntStream.range(0, request.images())
        .filter(i -> !cancelled.contains(i))
        .boxed()
        .toList();
  }

  /**
   * Draws the next scale, and waits until it is drawn. Without a picture left it ends the pass.
   *
   * @throws IllegalStateException if all scales are drawn or the generation is closed
   */
  public void step() {
    turn.lock();
    try {
      if (ended || closed) {
        throw new IllegalStateException("nothing is left to draw");
      }
      // Asked once: who is cancelled from now on leaves before the next scale.
      List<Integer> left = pictures();
      if (!left.isEmpty()) {
        keep(left);
        draw();
      }
      if (closed || left.isEmpty()) {
        free();
      }
    } catch (RuntimeException | Error e) {
      free();
      throw e;
    } finally {
      turn.unlock();
    }
  }

  /** Takes the rows of all other pictures out of the pass. */
  private void keep(List<Integer> pictures) {
    int rows = request.rowsPerPicture();
    for (int place = places.size() - 1; place >= 0; place--) {
      if (!pictures.contains(places.get(place))) {
        open(pass).remove(place);
        open(cache).removeRows(place * rows, rows);
        int last = places.removeLast();
        if (place < places.size()) {
          places.set(place, last);
        }
      }
    }
  }

  private void draw() {
    long start = System.nanoTime();
    Pass drawing = open(pass);
    forgetTokens();
    try (Scope _ = Scope.open()) {
      List<PictureRequest> pictures = places.stream().map(request.pictures()::get).toList();
      Tensor logits = drawing.logits(scale, pictures, open(cache), observer);
      Tensor next =
          chooser != null ? chooser.choose(scale, logits) : drawing.choose(scale, pictures, logits);
      drawing.accept(scale, next);
      observer.scaleDone(scale, next, drawing.canvas());
      tokens = chosen.adopt(next.copy());
    }
    model.backend().synchronize(model.device());
    scaleMillis.add(millisSince(start));
    scale = scaleMillis.size();
    if (scale == request.grids().count()) {
      canvas = drawn.adopt(drawing.canvas());
      end();
    }
  }

  /**
   * What the pictures show after the scales drawn so far, in the order of the request.
   *
   * @throws IllegalStateException if no scale is drawn yet or the generation is closed
   */
  public List<Picture> preview() {
    turn.lock();
    try {
      Tensor codes = pass != null ? pass.canvas() : canvas;
      if (codes == null || scale == 0) {
        throw new IllegalStateException("there is nothing to show");
      }
      return decode(codes, _ -> {});
    } finally {
      turn.unlock();
    }
  }

  /**
   * What one picture shows after the scales drawn so far, as large as the last of them: decoding
   * costs as much less than {@link #preview()} as that grid has fewer tokens.
   *
   * @throws IllegalStateException if no scale is drawn yet, the picture has left or the generation
   *     is closed
   */
  public Picture preview(int picture) {
    turn.lock();
    try (Scope _ = Scope.open()) {
      Tensor codes = pass != null ? pass.canvas() : canvas;
      int place = places.indexOf(picture);
      if (codes == null || scale == 0 || place < 0) {
        throw new IllegalStateException("there is nothing to show");
      }
      ScaleSize grid = request.grids().size(scale - 1);
      ScaleSize last = request.grids().last();
      Tensor own = codes.narrow(0, place, 1);
      return picture(
          picture,
          Ops.interpolateArea(
              own,
              own.size(2) / last.height() * grid.height(),
              own.size(3) / last.width() * grid.width()));
    } finally {
      turn.unlock();
    }
  }

  /**
   * Tokens of the scale drawn last, of each picture that was drawn, in the order of the request.
   *
   * @return of a picture [tokens, symbols]
   * @throws IllegalStateException if no scale is drawn yet or the generation is closed
   */
  public List<int[]> tokens() {
    turn.lock();
    try (Scope _ = Scope.open()) {
      if (tokens == null) {
        throw new IllegalStateException("no scale is drawn");
      }
      int[] all = tokens.toInts();
      int length = all.length / places.size();
      return inOrder(place -> Arrays.copyOfRange(all, place * length, (place + 1) * length));
    } finally {
      turn.unlock();
    }
  }

  /** Of each picture that is still there when it is its turn, in the order of the request. */
  private <T> List<T> inOrder(IntFunction<T> ofPlace) {
    List<T> all = new ArrayList<>();
    for (int picture : pictures()) {
      int place = places.indexOf(picture);
      if (place >= 0 && !cancelled.contains(picture)) {
        all.add(ofPlace.apply(place));
      }
    }
    return all;
  }

  /** Decodes one picture at a time, which bounds the memory. */
  private List<Picture> decode(Tensor codes, Consumer<Picture> decoded) {
    return inOrder(place -> {
      Picture picture;
      try (Scope _ = Scope.open()) {
        picture = picture(places.get(place), codes.narrow(0, place, 1));
      }
      decoded.accept(picture);
      return picture;
    });
  }

  private Picture picture(int index, Tensor codes) {
    Tensor image = model.decode(codes).select(0, 0);
    return new Picture(
        index,
        request.pictures().get(index),
        new PngImage(
            Math.toIntExact(image.size(2)), Math.toIntExact(image.size(1)), Pixels.toRgb(image)));
  }

  /** Cancels one picture: it leaves before the next scale. From any thread. */
  public void cancel(int picture) {
    Objects.checkIndex(picture, request.images());
    cancelled.add(picture);
  }

  /** Cancels all pictures, from any thread: the scale at hand is the last. */
  public void cancel() {
    IntStream.range(0, request.images()).forEach(cancelled::add);
  }

  /**
   * Draws all scales, decodes the pictures and frees everything.
   *
   * @param listener is told of every scale
   * @throws CancellationException if the listener ended it, or no picture is left
   * @throws IllegalStateException if the generation is closed
   */
  public GenerationResult run(GenerationListener listener) {
    try {
      while (!isDone()) {
        int drawn = scale;
        step();
        listener.scaleDone(drawn, request.grids().count(), this);
        if (listener.isCancelled()) {
          cancel();
        }
      }
      return finish();
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /**
   * Draws the scales that are left, decodes the pictures and frees everything.
   *
   * @throws CancellationException if no picture is left
   * @throws IllegalStateException if the generation is closed
   */
  public GenerationResult finish() {
    return finish(_ -> {});
  }

  /**
   * As above.
   *
   * @param decoded is given each picture as soon as it is decoded; who is cancelled then leaves
   *     before the next
   * @throws CancellationException if no picture is left
   * @throws IllegalStateException if the generation is closed
   */
  public GenerationResult finish(Consumer<Picture> decoded) {
    turn.lock();
    try {
      while (!isDone()) {
        step();
      }
      requireAny(pictures());
      if (canvas == null) {
        throw new IllegalStateException("the generation is closed");
      }
      long start = System.nanoTime();
      List<Picture> pictures = decode(canvas, decoded);
      // Others may have been cancelled meanwhile.
      requireAny(pictures);
      return new GenerationResult(
          pictures,
          new GenerationResult.Timings(textMillis, scaleMillis, millisSince(start)),
          request.grids().totalTokens(),
          memory,
          fullBytes,
          warnings);
    } finally {
      free();
      turn.unlock();
    }
  }

  private static void requireAny(List<?> pictures) {
    if (pictures.isEmpty()) {
      throw new CancellationException("the generation was cancelled");
    }
  }

  /**
   * Summed codes of all pictures once all scales are drawn [pictures, channels, rows, columns];
   * they belong to the generation.
   *
   * @throws IllegalStateException before, or if the generation is closed
   */
  public Tensor canvas() {
    return open(canvas);
  }

  /** For the user, such as a prompt that was cut. */
  public List<String> warnings() {
    return warnings;
  }

  /** Bytes of keys and values that the full cache takes. */
  public long fullKvBytes() {
    return fullBytes;
  }

  /** Bytes that the cache has taken so far. */
  public KvMemory memory() {
    turn.lock();
    try {
      return cache != null ? cache.memory() : memory;
    } finally {
      turn.unlock();
    }
  }

  private static <T> T open(@Nullable T resource) {
    if (resource == null) {
      throw new IllegalStateException("the generation is closed, or hasn't come so far");
    }
    return resource;
  }

  private void forgetTokens() {
    tokens = null;
    chosen.close();
    chosen = Scope.detached();
  }

  /** Frees the cache and the condition, which are large, before pictures are decoded. */
  private void end() {
    ended = true;
    if (cache != null) {
      memory = cache.memory();
      cache.close();
      cache = null;
    }
    if (pass != null) {
      pass.close();
      pass = null;
    }
  }

  private void free() {
    end();
    forgetTokens();
    canvas = null;
    drawn.close();
  }

  private static double millisSince(long start) {
    return (System.nanoTime() - start) / 1e6;
  }

  /** Frees everything; from any thread, after the scale at hand, which is the last. */
  @Override
  public void close() {
    closed = true;
    turn.lock();
    try {
      // What a scale at hand computes with is freed when it ends.
      if (turn.getHoldCount() == 1) {
        free();
      }
    } finally {
      turn.unlock();
    }
  }
}
