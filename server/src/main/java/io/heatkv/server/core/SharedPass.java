package io.heatkv.server.core;

import io.heatkv.Generation;
import io.heatkv.GenerationRequest;
import io.heatkv.GenerationResult;
import io.heatkv.Picture;
import io.heatkv.family.NextScaleModel;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executor;

/** Pictures of one form, drawn together on a device's thread. */
final class SharedPass {
  // The rest of what scales take holds the text between them, too.
  private static final double FREE_BETWEEN_SCALES = 0.9;

  private final ServedModel model;
  private final NextScaleModel network;
  private final SchedulerListener listener;
  private final Executor encoders;
  private final Heartbeat heartbeat;
  private final List<QueuedPicture> pass;
  private final Form form;
  private final GenerationRequest request;
  private long partialNanos;

  /**
   * @param network of the device
   * @param encoders make files of pictures, so that the device needn't wait
   * @param pass its pictures, all of one form
   */
  SharedPass(
      ServedModel model,
      NextScaleModel network,
      SchedulerListener listener,
      Executor encoders,
      Heartbeat heartbeat,
      List<QueuedPicture> pass) {
    this.model = model;
    this.network = network;
    this.listener = listener;
    this.encoders = encoders;
    this.heartbeat = heartbeat;
    this.pass = pass;
    form = pass.getFirst().job().form();
    request = request(pass);
  }

  /** Pictures of one form as one request. */
  static GenerationRequest request(List<QueuedPicture> pictures) {
    Form form = pictures.getFirst().job().form();
    return new GenerationRequest(
        pictures.stream().map(each -> each.job().pictures().get(each.picture())).toList(),
        form.grids(),
        form.policy());
  }

  /**
   * Draws it, and tells each job; its memory is free afterwards.
   *
   * @throws io.heatkv.error.UserException if one of its pictures is wrong
   */
  void draw() {
    long start = System.nanoTime();
    listener.passBegins(form, pass.size());
    for (Job job : new HashSet<>(pass.stream().map(QueuedPicture::job).toList())) {
      if (job.state() == Job.State.WAITING) {
        job.started();
        listener.jobStarts(job);
      }
    }
    try (Generation generation = Generation.open(network, request)) {
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
      GenerationResult result =
          generation.finish(picture -> {
            heartbeat.beat();
            deliver(generation, picture, (System.nanoTime() - start) / 1e9);
            leave(generation);
          });
      form.took(pass.size(), (System.nanoTime() - start) / 1e9, result.timings().decode() / 1e3);
      listener.passDrawn(form, pass.size(), result, partialNanos / 1e9);
    } catch (CancellationException _) {
      // No picture is left; who cancelled them was told.
    }
  }

  /** Scales at which each picture is shown. */
  private List<SortedSet<Integer>> partials() {
    List<SortedSet<Integer>> scales = new ArrayList<>();
    for (QueuedPicture each : pass) {
      scales.add(
          each.job().partials() == 0
              ? new TreeSet<>()
              : PartialScales.choose(
                  form.grids(), each.job().partials(), form.decodeShare(), this::canShow));
    }
    return scales;
  }

  /** Whether decoding a scale while keys and values live stays within what is reserved. */
  private boolean canShow(int scale) {
    return model.decodingBytes(form.grids().size(scale))
        <= FREE_BETWEEN_SCALES * form.need(pass.size()).scratch();
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
        long start = System.nanoTime();
        Picture shown = generation.preview(i);
        partialNanos += System.nanoTime() - start;
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

  /** A picture is sent while the others are decoded; its client's next one may join them soon. */
  private void deliver(Generation generation, Picture picture, double seconds) {
    QueuedPicture each = pass.get(picture.index());
    Job job = each.job();
    int width = picture.pixels().width();
    int height = picture.pixels().height();
    long kvBytes = generation.memory().storage() / pass.size();
    job.addLater(
        encoders,
        () ->
            new JobEvent.Drawn(
                each.picture(),
                picture.request().seed(),
                width,
                height,
                job.encoding()
                    .encode(picture.pixels(), model.texts(request, picture.index(), width, height)),
                kvBytes,
                generation.fullKvBytes() / pass.size(),
                pass.size(),
                seconds,
                generation.warnings()));
  }
}
