package io.heatkv.infinity.load;

import com.fasterxml.jackson.core.JsonGenerator;
import io.heatkv.infinity.TransformerConfig;
import io.heatkv.json.JsonFile;
import io.heatkv.scale.ScaleSize;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Writes what {@link InfinityDescription#read} reads.
 *
 * @param model the model but for its files
 * @param transformer file of the transformer, below the folder
 * @param vae file of the image tokenizer, or empty if the folder has none
 * @param textEncoder folder of the text encoder, likewise
 * @param profile calibration profile, likewise
 * @param notes further texts, such as where the weights come from
 */
record ModelJson(
    InfinityDescription model,
    Path transformer,
    Optional<Path> vae,
    Optional<Path> textEncoder,
    Optional<Path> profile,
    Map<String, String> notes) {
  ModelJson {
    notes = Map.copyOf(notes);
  }

  /**
   * Writes the model.json of a folder that holds the files.
   *
   * @throws io.heatkv.error.UserException if it can't be written
   */
  void write(Path folder) {
    JsonFile.write(folder.resolve(InfinityDescription.FILE), this::write);
  }

  private void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", model.name());
    for (Map.Entry<String, String> note : new TreeMap<>(notes).entrySet()) {
      json.writeStringField(note.getKey(), note.getValue());
    }
    json.writeArrayFieldStart("scale_schedule");
    for (ScaleSize size : model.grids().scales()) {
      json.writeArray(new int[] {1, size.height(), size.width()}, 0, 3);
    }
    json.writeEndArray();
    json.writeObjectFieldStart("sampling");
    json.writeNumberField("cfg", model.cfg());
    json.writeNumberField("tau", model.tau());
    json.writeNumberField("top_p", model.topP());
    json.writeEndObject();
    transformer(json);
    if (vae.isPresent()) {
      json.writeObjectFieldStart("vae");
      json.writeStringField("file", unixName(vae.get()));
      json.writeNumberField("codebook_dim", model.codeChannels());
      json.writeEndObject();
    }
    if (textEncoder.isPresent()) {
      json.writeObjectFieldStart("text_encoder");
      json.writeStringField("folder", unixName(textEncoder.get()));
      json.writeEndObject();
    }
    if (profile.isPresent()) {
      json.writeObjectFieldStart("calibration");
      json.writeStringField("file", unixName(profile.get()));
      json.writeEndObject();
    }
    json.writeEndObject();
  }

  private void transformer(JsonGenerator json) throws IOException {
    TransformerConfig config = model.transformer();
    json.writeObjectFieldStart("transformer");
    json.writeStringField("file", unixName(transformer));
    json.writeNumberField("depth", config.depth());
    json.writeNumberField("embed_dim", config.width());
    json.writeNumberField("num_heads", config.heads());
    json.writeNumberField("mlp_hidden", config.hidden());
    json.writeNumberField("block_chunks", config.chunks());
    json.writeNumberField("text_channels", config.textChannels());
    json.writeNumberField("text_maxlen", config.textMaxLength());
    json.writeBooleanField("cos_attn", config.cosineAttention());
    json.writeNumberField("rope2d_normalized_by_hw", config.rotary().ordinal());
    json.writeBooleanField("add_lvl_embeding_only_first_block", config.levelEmbeddingOnce());
    json.writeBooleanField("apply_spatial_patchify", config.spatialPatchify());
    json.writeEndObject();
  }

  /** The same on every platform. */
  private static String unixName(Path path) {
    return path.toString().replace('\\', '/');
  }
}
