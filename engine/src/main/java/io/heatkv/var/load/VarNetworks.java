package io.heatkv.var.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.load.Network;
import io.heatkv.var.VarConfig;
import io.heatkv.var.VarKeys;
import io.heatkv.var.vae.VqConfig;
import io.heatkv.var.vae.VqKeys;
import java.util.List;
import java.util.Set;

/** The two networks of a VAR. */
final class VarNetworks {
  // What trainers save beside it: state_dict of the official trainer.py.
  static final Network TRANSFORMER =
      new Network(
          "VAR transformer",
          "pos_1LC",
          "var_wo_ddp",
          VarKeys.UNREAD,
          false,
          VarNetworks::transformer);

  static final Network IMAGE_TOKENIZER =
      new Network(
          "image tokenizer (VQVAE)",
          VqKeys.CODEBOOK,
          "vae_local",
          Set.of(VqKeys.HITS),
          false,
          VarNetworks::imageTokenizer);

  static final List<Network> ALL = List.of(TRANSFORMER, IMAGE_TOKENIZER);

  private VarNetworks() {}

  private static String transformer(Checkpoint part) {
    VarConfig config = VarConfig.infer(part);
    return "%d layers, %d heads of %d, width %d, %d classes, %d entries of a codebook"
        .formatted(
            config.depth(),
            config.heads(),
            config.headDim(),
            config.width(),
            config.classes(),
            config.entries());
  }

  private static String imageTokenizer(Checkpoint part) {
    VqConfig config = VqConfig.infer(part);
    return "codebook of %d entries of %d channels, stride %d"
        .formatted(config.entries(), config.channels(), config.stride());
  }
}
