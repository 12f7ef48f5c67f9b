package io.heatkv.server.core;

import io.heatkv.GenerationRequest;
import io.heatkv.cache.CachePolicy;
import io.heatkv.family.NextScaleModel;
import io.heatkv.image.PngText;
import io.heatkv.load.MemoryNeed;
import io.heatkv.profile.CalibrationProfile;
import io.heatkv.sample.SamplingOptions;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import java.util.List;
import java.util.Optional;

/** A loaded model as a server offers it. Any thread may ask. */
public interface ServedModel {
  /** Name in requests and answers. */
  String id();

  /** Its networks: the same on each of the devices that share the work. */
  List<NextScaleModel> models();

  /** Those of one device, to ask what is the same on all. */
  default NextScaleModel model() {
    return models().getFirst();
  }

  /** Its own scales, drawn where a request asks for no size. */
  ScaleGrids grids();

  /** The grids of all sizes that it offers, its own first. */
  List<ScaleGrids> offeredGrids();

  /** How it samples where a request doesn't say. */
  SamplingOptions sampling();

  /** Pixels along an edge of what one token shows. */
  int pixelsPerToken();

  /**
   * @throws io.heatkv.error.UserException if a prompt means nothing to the model
   */
  void requirePrompt(String prompt);

  /** A prompt that it can draw, to measure with. */
  String samplePrompt();

  /**
   * A policy under a budget; the full cache where the name is {@code full}.
   *
   * @throws io.heatkv.error.UserException if there is none, or it can't be had for these scales
   */
  CachePolicy policy(String name, String budget, ScaleGrids grids);

  /**
   * What drawing takes besides the weights; more for more pictures.
   *
   * @throws io.heatkv.error.UserException if it can't be told
   */
  MemoryNeed need(GenerationRequest request);

  /** Bytes that decoding one picture takes, or what it shows at a coarser scale. */
  long decodingBytes(ScaleSize grid);

  /** The calibration of its own scales, if it comes with one. */
  Optional<CalibrationProfile> profile();

  /** What a picture's file says of how it was drawn. */
  List<PngText> texts(GenerationRequest request, int picture, int width, int height);
}
