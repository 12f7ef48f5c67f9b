package io.heatkv.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.checkpoint.Checkpoints;
import io.heatkv.error.UserException;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.vae.VaeConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** The three networks of a model, each told by its tensors wherever they lie in a file. */
@SuppressWarnings("exports") // Checkpoints are what families read.
public enum Network {
  // What trainers store beside it: save_slim_model of tools/run_infinity.py takes gpt_fsdp.
  TRANSFORMER("Infinity transformer", "word_embed.weight", "gpt_fsdp"),
  // vae_model of infinity/models/bsq_vae/vae.py takes "vae", not the moving average "ema".
  IMAGE_TOKENIZER("image tokenizer (BSQ-VAE)", "decoder.conv_in.conv.weight", "vae"),
  TEXT_ENCODER("T5 text encoder", "encoder.block.0.layer.0.SelfAttention.q.weight", "");

  /** Buffers of older training code, which load_state_dict drops. */
  private static final Set<String> BUFFERS =
      Set.of(
          "lvl_1L", "attn_bias_for_masking", "Infinity_visible_kvlen", "Infinity_invisible_qlen");

  private final String label;
  private final String mark;
  private final String usualPlace;

  Network(String label, String mark, String usualPlace) {
    this.label = label;
    this.mark = mark;
    this.usualPlace = usualPlace;
  }

  /** Whether a checkpoint holds this network. */
  public boolean isIn(Checkpoint checkpoint) {
    return !places(checkpoint).isEmpty();
  }

  /**
   * Opens this network's tensors, their names as the network itself has them. A checkpoint that
   * holds none is opened whole, so that the reader can say what it lacks.
   *
   * @throws UserException if the file is unsound or holds several such networks
   */
  public Checkpoint open(Path file) {
    Checkpoint whole = Checkpoints.open(file);
    try {
      Checkpoint part = place(whole).map(whole::under).orElse(whole);
      return this == TRANSFORMER ? part.without(BUFFERS) : part;
    } catch (RuntimeException e) {
      whole.close();
      throw e;
    }
  }

  /**
   * The keys above this network's tensors, or empty if there are none above.
   *
   * @throws UserException if the file holds several such networks
   */
  public Optional<String> place(Checkpoint checkpoint) {
    Set<String> places = places(checkpoint);
    if (places.isEmpty() || places.contains("")) {
      return Optional.empty();
    }
    List<String> usual =
        places.stream().filter(p -> p.equals(usualPlace) || p.endsWith("." + usualPlace)).toList();
    if (usual.size() == 1) {
      return Optional.of(usual.getFirst());
    }
    if (places.size() > 1) {
      throw new UserException(
          "%s: holds several networks of the kind %s (below %s); save one of them"
              .formatted(checkpoint.path(), label, String.join(", ", places)));
    }
    return Optional.of(places.iterator().next());
  }

  /**
   * What its shapes tell of it, for people; empty if that is nothing.
   *
   * @param part its tensors, as {@link #open} gives them
   * @throws UserException if one that tells a size is missing
   */
  public String sizes(Checkpoint part) {
    return switch (this) {
      case TRANSFORMER -> {
        TransformerConfig config = TransformerConfigs.infer(part, false);
        yield "%d layers, %d heads of %d, width %d, %d bits a token"
            .formatted(
                config.depth(), config.heads(), config.headDim(), config.width(), config.bits());
      }
      case IMAGE_TOKENIZER -> {
        VaeConfig config = VaeConfig.infer(part);
        yield "codes of %d bits, stride %d".formatted(config.channels(), config.stride());
      }
      case TEXT_ENCODER -> "";
    };
  }

  private Set<String> places(Checkpoint checkpoint) {
    Set<String> places = new TreeSet<>();
    for (String name : checkpoint.names()) {
      if (name.equals(mark)) {
        places.add("");
      } else if (name.endsWith("." + mark)) {
        places.add(name.substring(0, name.length() - mark.length() - 1));
      }
    }
    return places;
  }

  /** Such as {@code T5 text encoder}. */
  @Override
  public String toString() {
    return label;
  }
}
