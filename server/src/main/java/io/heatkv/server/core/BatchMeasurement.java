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
 * asks for pictures. The first pass only warms up.
 */
final class BatchMeasurement {
  // Pictures of a larger pass wait longer for each other; gains that sum up to less aren't worth
  // it.
  private static final double GAIN = 1.03;
  private static final double SECONDS = 30;
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
  // Pictures of the next pass; 0 warms up.
  private int next;
  private volatile boolean done;

  /**
   * @param most pictures of a pass that may be tried; 1 or less measures nothing
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
    int pictures = Math.max(1, next);
    long start = System.nanoTime();
    if (!draw(pictures, interrupted, heartbeat)) {
      return false;
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    if (next == 0) {
      next = 1;
      done = most <= 1;
      return true;
    }
    spent += seconds;
    double each = seconds / pictures;
    measured.put(pictures, each);
    double least = measured.values().stream().min(Double::compare).orElseThrow();
    best =
        measured.entrySet().stream()
            .filter(entry -> entry.getValue() <= GAIN * least)
            .findFirst()
            .orElseThrow()
            .getKey();
    next = 2 * pictures;
    done = next > most || each > GAIN * least || spent + next * each > SECONDS;
    return true;
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
