package io.heatkv.infinity.load;

import io.heatkv.checkpoint.Checkpoint;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.infinity.TransformerConfigs;
import io.heatkv.infinity.vae.VaeConfig;
import io.heatkv.load.Network;
import java.util.List;
import java.util.Set;

/** The three networks of an Infinity. */
public final class InfinityNetworks {
  // What trainers store beside it: save_slim_model of tools/run_infinity.py takes gpt_fsdp. The
  // buffers are of older training code; load_state_dict drops them.
  public static final Network TRANSFORMER =
      new Network(
          "Infinity transformer",
          "cfg_uncond",
          "gpt_fsdp",
          Set.of(
              "lvl_1L",
              "attn_bias_for_masking",
              "Infinity_visible_kvlen",
              "Infinity_invisible_qlen"),
          false,
          InfinityNetworks::transformer);

  // vae_model of infinity/models/bsq_vae/vae.py takes "vae", not the moving average "ema".
  public static final Network IMAGE_TOKENIZER =
      new Network(
          "image tokenizer (BSQ-VAE)",
          "decoder.conv_in.conv.weight",
          "vae",
          Set.of(),
          false,
          InfinityNetworks::imageTokenizer);

  public static final Network TEXT_ENCODER =
      new Network(
          "T5 text encoder",
          "encoder.block.0.layer.0.SelfAttention.q.weight",
          "",
          Set.of(),
          true,
          _ -> "");

  static final List<Network> ALL = List.of(TRANSFORMER, IMAGE_TOKENIZER, TEXT_ENCODER);

  private InfinityNetworks() {}

  private static String transformer(Checkpoint part) {
    TransformerConfig config = TransformerConfigs.infer(part, false);
    return "%d layers, %d heads of %d, width %d, %d bits a token"
        .formatted(config.depth(), config.heads(), config.headDim(), config.width(), config.bits());
  }

  private static String imageTokenizer(Checkpoint part) {
    VaeConfig config = VaeConfig.infer(part);
    return "codes of %d bits, stride %d".formatted(config.channels(), config.stride());
  }
}
