package io.heatkv.server.core;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.family.NextScaleModel;
import io.heatkv.family.PictureRequest;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;

/**
 * How many pictures of a pass make the most pictures a second, measured pass by pass while nobody
 * asks for pictures. Numbers double. The first pass only warms up, on CUDA that of each number:
 * kernels are planned by their sizes.
 */
final class BatchMeasurement {
  // Pictures of a larger pass wait longer for each other; less of a gain isn't worth it.
  private static final double GAIN = 1.03;
  // Of each number: other work on the machine should meet all alike.
  private static final double SECONDS_EACH = 4;
  private static final int MOST_PASSES = 3;
  private static final double SECONDS = 60;
  // Until it is known: costs a CPU little, and a GPU gains most of what there is to gain.
  private static final int UNMEASURED = 4;

  private final NextScaleModel model;
  private final Form form;
  private final PictureRequest picture;
  private final int most;
  // Seconds of a picture by pictures of its pass.
  private final SortedMap<Integer, Double> measured = new TreeMap<>();
  private volatile int best = 1;
  private double spent;
  // Pictures of the next pass, whether it warms up, and what those of as many have taken.
  private int next = 1;
  private boolean warming = true;
  private int passes;
  private double seconds;
  private volatile boolean done;

  /**
   * @param most pictures of a pass that may be tried; 1 or less only warms up
   */
  BatchMeasurement(NextScaleModel model, Form form, PictureRequest picture, int most) {
    this.model = model;
    this.form = form;
    this.picture = picture;
    this.most = most;
  }

  boolean isDone() {
    return done;
  }

  /** Most pictures of a pass by what is known. */
  int batch() {
    return done ? best : Math.min(UNMEASURED, Math.max(1, most));
  }

  /**
   * Draws one pass.
   *
   * @param interrupted asked between scales; the pass is drawn another time then
   * @return whether it was drawn
   */
  boolean step(BooleanSupplier interrupted, Heartbeat heartbeat) {
    long start = System.nanoTime();
    if (!draw(next, interrupted, heartbeat)) {
      return false;
    }
    double took = (System.nanoTime() - start) / 1e9;
    spent += took;
    if (warming) {
      warming = false;
      done = most <= 1;
      return true;
    }
    seconds += took;
    if (++passes < MOST_PASSES && seconds < SECONDS_EACH) {
      return true;
    }
    double each = seconds / (passes * next);
    measured.put(next, each);
    choose();
    next *= 2;
    warming = model.device().isCuda();
    passes = 0;
    seconds = 0;
    done = next > most || spent + (warming ? 2 : 1) * next * each > SECONDS;
    return true;
  }

  private void choose() {
    double least = measured.values().stream().min(Double::compare).orElseThrow();
    best =
        measured.entrySet().stream()
            .filter(entry -> entry.getValue() <= GAIN * least)
            .findFirst()
            .orElseThrow()
            .getKey();
  }

  private boolean draw(int pictures, BooleanSupplier interrupted, Heartbeat heartbeat) {
    long start = System.nanoTime();
    GenerationRequest request =
        new GenerationRequest(Collections.nCopies(pictures, picture), form.grids(), form.policy());
    try (Generation generation = Generation.open(model, request)) {
      while (!generation.isDone()) {
        if (interrupted.getAsBoolean()) {
          return false;
        }
        heartbeat.step(generation);
      }
      double decode = generation.finish().timings().decode() / 1e3;
      form.took(pictures, (System.nanoTime() - start) / 1e9, decode);
      return true;
    }
  }
}
