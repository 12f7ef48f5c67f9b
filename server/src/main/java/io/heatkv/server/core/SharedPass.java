package io.heatkv.server.core;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.Picture;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executor;

/** Pictures of one form, drawn together on the device's thread. */
final class SharedPass {
  private final ServedModel model;
  private final SchedulerListener listener;
  private final Executor encoders;
  private final Heartbeat heartbeat;
  private final List<QueuedPicture> pass;

  /**
   * @param encoders make files of pictures, so that the device needn't wait
   * @param pass its pictures, all of one form
   */
  SharedPass(
      ServedModel model,
      SchedulerListener listener,
      Executor encoders,
      Heartbeat heartbeat,
      List<QueuedPicture> pass) {
    this.model = model;
    this.listener = listener;
    this.encoders = encoders;
    this.heartbeat = heartbeat;
    this.pass = pass;
  }

  /**
   * Draws it, and tells each job; its memory is free afterwards.
   *
   * @throws io.heatkv.error.UserException if one of its pictures is wrong
   */
  void draw() {
    Form form = pass.getFirst().job().form();
    GenerationRequest request =
        new GenerationRequest(
            pass.stream().map(each -> each.job().pictures().get(each.picture())).toList(),
            form.grids(),
            form.policy());
    long start = System.nanoTime();
    listener.passBegins(form, pass.size());
    for (Job job : new HashSet<>(pass.stream().map(QueuedPicture::job).toList())) {
      if (job.state() == Job.State.WAITING) {
        job.started();
        listener.jobStarts(job);
      }
    }
    try (Generation generation = Generation.open(model.model(), request)) {
      List<SortedSet<Integer>> partials = partials();
      while (!generation.isDone()) {
        leave(generation);
        if (!generation.isDone()) {
          int scale = generation.scale();
          heartbeat.step(generation);
          tell(generation, scale, partials);
        }
      }
      leave(generation);
      deliver(request, generation.finish(), start);
    } catch (CancellationException _) {
      // No picture is left; who cancelled them was told.
    }
  }

  /** Scales at which each picture is shown. */
  private List<SortedSet<Integer>> partials() {
    List<SortedSet<Integer>> scales = new ArrayList<>();
    for (QueuedPicture each : pass) {
      Form form = each.job().form();
      scales.add(
          each.job().partials() == 0
              ? new TreeSet<>()
              : PartialScales.choose(form.grids(), each.job().partials(), form.decodeShare()));
    }
    return scales;
  }

  /** Takes out those whose jobs have ended. */
  private void leave(Generation generation) {
    for (int i = 0; i < pass.size(); i++) {
      if (pass.get(i).job().state().isEnd()) {
        generation.cancel(i);
      }
    }
  }

  private void tell(Generation generation, int scale, List<SortedSet<Integer>> partials) {
    for (int i : generation.pictures()) {
      QueuedPicture each = pass.get(i);
      Job job = each.job();
      JobEvent drawn = new JobEvent.ScaleDrawn(each.picture(), scale, job.form().grids().count());
      job.addLater(encoders, () -> drawn);
      if (partials.get(i).contains(scale)) {
        Picture shown = generation.preview(i);
        int index = partials.get(i).headSet(scale).size();
        job.addLater(
            encoders,
            () ->
                new JobEvent.Partial(
                    each.picture(),
                    index,
                    scale,
                    shown.pixels().width(),
                    shown.pixels().height(),
                    job.encoding().encode(shown.pixels(), List.of())));
      }
    }
  }

  private void deliver(GenerationRequest request, GenerationResult result, long start) {
    Form form = pass.getFirst().job().form();
    double seconds = (System.nanoTime() - start) / 1e9;
    form.took(pass.size(), seconds, result.timings().decode() / 1e3);
    listener.passDrawn(form, pass.size(), result);
    for (Picture picture : result.images()) {
      QueuedPicture each = pass.get(picture.index());
      each.job()
          .addLater(
              encoders,
              () ->
                  new JobEvent.Drawn(
                      each.picture(),
                      picture.request().seed(),
                      picture.pixels().width(),
                      picture.pixels().height(),
                      each.job()
                          .encoding()
                          .encode(
                              picture.pixels(),
                              model.texts(
                                  request,
                                  picture.index(),
                                  picture.pixels().width(),
                                  picture.pixels().height())),
                      result.kv().storage() / pass.size(),
                      result.fullKvBytes() / pass.size(),
                      pass.size(),
                      seconds,
                      result.warnings()));
    }
  }
}
