package io.heatkv.var.vae;

import java.util.Map;
import java.util.TreeMap;

/** Names and shapes of a VQVAE's weights, as the official state dict has them (VQVAE). */
public final class VqKeys {
  /** The codes that tokens stand for. */
  public static final String CODEBOOK = "quantize.embedding.weight";

  /** How often entries were used in training; nothing here reads it. */
  public static final String HITS = "quantize.ema_vocab_hit_SV";

  /** Convolutions that scales share, of all published models (share_quant_resi). */
  static final int PHIS = 4;

  private static final int RGB = 3;

  private final VqConfig config;
  private final Map<String, long[]> shapes = new TreeMap<>();

  private VqKeys(VqConfig config) {
    this.config = config;
  }

  /** Prefix of a shared convolution. */
  static String phi(int index) {
    return "quantize.quant_resi.qresi_ls." + index;
  }

  /** All of a tokenizer with an encoder, buffers left out. */
  public static Map<String, long[]> shapes(VqConfig config) {
    Map<String, long[]> all = decoder(config);
    all.putAll(encoder(config));
    return all;
  }

  /** Weights of the quantiser and the decoder. */
  public static Map<String, long[]> decoder(VqConfig config) {
    VqKeys keys = new VqKeys(config);
    int z = config.channels();
    keys.shapes.put(CODEBOOK, new long[] {config.entries(), z});
    for (int i = 0; i < PHIS; i++) {
      keys.convolution(phi(i), z, z, 3);
    }
    keys.convolution("post_quant_conv", z, z, 3);
    int coarsest = config.multipliers().size() - 1;
    long in = keys.channels(coarsest);
    keys.convolution("decoder.conv_in", z, in, 3);
    keys.middle("decoder.mid.", in);
    for (int level = coarsest; level >= 0; level--) {
      String name = "decoder.up." + level;
      in = keys.level(name, level, config.blocks() + 1, in);
      if (level > 0) {
        keys.convolution(name + ".upsample.conv", in, in, 3);
      }
    }
    keys.norm("decoder.norm_out", in);
    keys.convolution("decoder.conv_out", in, RGB, 3);
    return keys.shapes;
  }

  /** Weights of the encoder. */
  static Map<String, long[]> encoder(VqConfig config) {
    VqKeys keys = new VqKeys(config);
    int z = config.channels();
    long in = config.baseChannels();
    keys.convolution("encoder.conv_in", RGB, in, 3);
    for (int level = 0; level < config.multipliers().size(); level++) {
      String name = "encoder.down." + level;
      in = keys.level(name, level, config.blocks(), in);
      if (level < config.multipliers().size() - 1) {
        keys.convolution(name + ".downsample.conv", in, in, 3);
      }
    }
    keys.middle("encoder.mid.", in);
    keys.norm("encoder.norm_out", in);
    keys.convolution("encoder.conv_out", in, z, 3);
    keys.convolution("quant_conv", z, z, 3);
    return keys.shapes;
  }

  private long channels(int level) {
    return (long) config.multipliers().get(level) * config.baseChannels();
  }

  /** The blocks of a level, of which the first changes the channels; the coarsest attends. */
  private long level(String name, int level, int count, long in) {
    long out = channels(level);
    long from = in;
    for (int i = 0; i < count; i++) {
      block(name + ".block." + i, from, out);
      if (level == config.multipliers().size() - 1) {
        attention(name + ".attn." + i, out);
      }
      from = out;
    }
    return out;
  }

  private void middle(String name, long channels) {
    block(name + "block_1", channels, channels);
    attention(name + "attn_1", channels);
    block(name + "block_2", channels, channels);
  }

  private void block(String name, long in, long out) {
    norm(name + ".norm1", in);
    convolution(name + ".conv1", in, out, 3);
    norm(name + ".norm2", out);
    convolution(name + ".conv2", out, out, 3);
    if (in != out) {
      convolution(name + ".nin_shortcut", in, out, 1);
    }
  }

  private void attention(String name, long channels) {
    norm(name + ".norm", channels);
    convolution(name + ".qkv", channels, 3 * channels, 1);
    convolution(name + ".proj_out", channels, channels, 1);
  }

  private void convolution(String name, long in, long out, int size) {
    shapes.put(name + ".weight", new long[] {out, in, size, size});
    shapes.put(name + ".bias", new long[] {out});
  }

  private void norm(String name, long channels) {
    shapes.put(name + ".weight", new long[] {channels});
    shapes.put(name + ".bias", new long[] {channels});
  }
}
