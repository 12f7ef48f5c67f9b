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
 * asks for pictures. Each number is tried twice, since its first pass plans and compiles.
 */
final class BatchMeasurement {
  // Pictures of a larger pass wait longer for each other; less of a gain isn't worth it.
  private static final double GAIN = 1.01;
  private static final int TRIES = 2;
  private static final double SECONDS = 30;
  // Until it is known: costs a CPU little, and a GPU gains most of what there is to gain.
  private static final int UNMEASURED = 4;

  private final NextScaleModel model;
  private final Form form;
  private final PictureRequest picture;
  private final int most;
  // Least seconds of a picture by pictures of its pass.
  private final SortedMap<Integer, Double> measured = new TreeMap<>();
  private volatile int best = 1;
  private double spent;
  // Pictures of the next pass, and passes of as many before it.
  private int next = 1;
  private int tries;
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
    double seconds = (System.nanoTime() - start) / 1e9;
    spent += seconds;
    measured.merge(next, seconds / next, Math::min);
    double least = measured.values().stream().min(Double::compare).orElseThrow();
    best =
        measured.entrySet().stream()
            .filter(entry -> entry.getValue() <= GAIN * least)
            .findFirst()
            .orElseThrow()
            .getKey();
    if (++tries == TRIES || most <= 1) {
      tries = 0;
      next *= 2;
    }
    done = next > most || spent + next * least > SECONDS;
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
