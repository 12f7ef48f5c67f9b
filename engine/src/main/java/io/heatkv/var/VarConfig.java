package io.heatkv.var;

import io.heatkv.cache.KvShape;
import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.StorageType;
import io.heatkv.checkpoint.TensorEntry;
import io.heatkv.error.UserException;
import io.heatkv.scale.ScaleGrids;
import io.heatkv.scale.ScaleSize;
import io.heatkv.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Sizes of a VAR transformer.
 *
 * @param depth number of blocks
 * @param width channels of a token (embed_dim)
 * @param heads attention heads
 * @param hidden channels of the feed-forward layer
 * @param classes that it draws; the row behind them of the embedding stands for none
 * @param channels of a code (Cvae)
 * @param entries of the codebook (vocab_size)
 * @param sharedAdaptive one adaptive layer for all blocks (shared_aln), else each has its own
 * @param grids the grids that it draws: it learned a vector for each of their positions
 */
public record VarConfig(
    int depth,
    int width,
    int heads,
    int hidden,
    int classes,
    int channels,
    int entries,
    boolean sharedAdaptive,
    ScaleGrids grids) {
  /** Epsilon of all norms. */
  public static final double EPSILON = 1e-6;

  private static final String POSITIONS = "pos_1LC";
  private static final List<ScaleGrids> PUBLISHED_SCALES =
      List.of(PublishedVar.D16.config().grids(), PublishedVar.D36.config().grids());

  public VarConfig {
    if (heads < 1 || width % heads != 0 || width / heads % 4 != 0) {
      throw new UserException(
          "transformer width %d doesn't divide into %d heads of a multiple of 4 channels"
              .formatted(width, heads));
    }
  }

  /** Channels of a head. */
  public int headDim() {
    return width / heads;
  }

  /**
   * Sizes of a cache.
   *
   * @param rowsPerPicture with guidance 2, else 1
   * @param dtype in which keys and values come
   */
  public KvShape kvShape(int pictures, int rowsPerPicture, DType dtype, ScaleGrids grids) {
    return new KvShape(
        depth, pictures * rowsPerPicture, rowsPerPicture, heads, headDim(), dtype, grids);
  }

  /**
   * @param stride pixels along an edge of a token
   * @throws UserException if the grids aren't those that it learned
   */
  public void requireDrawable(String model, int stride, ScaleGrids others) {
    if (!others.equals(grids)) {
      throw new UserException(
          "model %s draws %dx%d pixels over the grids %s, not over %s; it learned a vector for each of their positions"
              .formatted(
                  model,
                  grids.last().width() * stride,
                  grids.last().height() * stride,
                  grids,
                  others));
    }
  }

  /**
   * Reads the sizes off the shapes of the weights, and the grids off the buffer that tells the
   * scale of every token.
   *
   * @throws UserException if the file is not a VAR transformer, or its parts don't fit each other
   */
  public static VarConfig infer(Checkpoint checkpoint) {
    int depth = 0;
    while (checkpoint.find("blocks." + depth + ".attn.mat_qkv.weight").isPresent()) {
      depth++;
    }
    if (depth == 0) {
      throw new UserException(
          checkpoint.path()
              + ": has no blocks.0.attn.mat_qkv.weight; expected a VAR transformer, such as"
              + " var_d16.pth");
    }
    return new VarConfig(
        depth,
        size(checkpoint, "word_embed.weight", 0),
        size(checkpoint, "blocks.0.attn.scale_mul_1H11", 1),
        size(checkpoint, "blocks.0.ffn.fc1.weight", 0),
        size(checkpoint, "class_emb.weight", 0) - 1,
        size(checkpoint, "word_embed.weight", 1),
        size(checkpoint, "head.weight", 0),
        checkpoint.find("blocks.0.ada_gss").isPresent(),
        scales(checkpoint));
  }

  private static ScaleGrids scales(Checkpoint checkpoint) {
    int positions = size(checkpoint, POSITIONS, 1);
    int levels = size(checkpoint, "lvl_embed.weight", 0);
    ScaleGrids grids =
        checkpoint
            .find(VarKeys.LEVELS)
            .map(buffer -> squares(checkpoint, levels(checkpoint, buffer)))
            .or(() ->
                PUBLISHED_SCALES.stream()
                    .filter(each -> each.totalTokens() == positions)
                    .findFirst())
            .orElseThrow(() ->
                new UserException(
                    "%s: %s has %d positions, which no published grids have, and there is no %s that"
                            .formatted(checkpoint.path(), POSITIONS, positions, VarKeys.LEVELS)
                        + " tells its own; convert the file with its buffers"));
    if (grids.totalTokens() != positions || grids.count() != levels) {
      throw new UserException(
          "%s: %s has %d positions and lvl_embed %d scales, but the grids %s have %d tokens and %d scales; the file's parts belong to different models"
              .formatted(
                  checkpoint.path(),
                  POSITIONS,
                  positions,
                  levels,
                  grids,
                  grids.totalTokens(),
                  grids.count()));
    }
    return grids;
  }

  /** The scale of every token. */
  private static long[] levels(Checkpoint checkpoint, TensorEntry buffer) {
    if (buffer.dtype() != StorageType.I64) {
      throw new UserException(
          "%s: tensor %s is %s; expected I64"
              .formatted(checkpoint.path(), buffer.name(), buffer.dtype()));
    }
    return buffer.bytes().toArray(ValueLayout.JAVA_LONG_UNALIGNED);
  }

  private static ScaleGrids squares(Checkpoint checkpoint, long[] levels) {
    List<ScaleSize> sizes = new ArrayList<>();
    for (int start = 0; start < levels.length; ) {
      int end = start;
      while (end < levels.length && levels[end] == levels[start]) {
        end++;
      }
      int edge = (int) Math.round(Math.sqrt(end - start));
      if (levels[start] != sizes.size() || edge * edge != end - start) {
        throw new UserException(
            "%s: %s isn't that of square grids, one scale after another"
                .formatted(checkpoint.path(), VarKeys.LEVELS));
      }
      sizes.add(new ScaleSize(edge, edge));
      start = end;
    }
    return new ScaleGrids(sizes);
  }

  private static int size(Checkpoint checkpoint, String name, int dimension) {
    long[] shape = checkpoint.entry(name).shape();
    if (dimension >= shape.length) {
      throw new UserException(
          "%s: tensor %s has shape %s; expected a VAR transformer"
              .formatted(checkpoint.path(), name, Arrays.toString(shape)));
    }
    return Math.toIntExact(shape[dimension]);
  }
}
