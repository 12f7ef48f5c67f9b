package io.heatkv.text;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.stream.IntStream;

/**
 * T5's tokenizer: pieces of text with their scores, ids being positions.
 *
 * @param pieces the vocabulary, without the sentinels {@code <extra_id_N>}, which are put behind it
 * @param unknown position of the piece for unknown text
 * @param end position of the piece that ends a text
 * @param charsMap SentencePiece's compiled normalisation, empty for none
 */
record UnigramModel(List<Piece> pieces, int unknown, int end, byte[] charsMap) {
  private static final JsonFactory JSON = new JsonFactory();
  private static final int SENTINELS = 100;
  private static final String SENTINEL = "<extra_id_%d>";
  private static final String SPACE = "\u2581";

  UnigramModel {
    pieces = List.copyOf(pieces);
  }

  /** How text that equals a piece is read. */
  enum Kind {
    /** Like any text. */
    NORMAL,
    /** As this piece, before all else. */
    WHOLE,
    /** As this piece, and it stands for no text. */
    SPECIAL
  }

  /**
   * A piece.
   *
   * @param score logarithm of its probability
   */
  record Piece(String text, float score, Kind kind) {}

  /**
   * A vocabulary that splits text into ASCII letters, for encoders of random weights.
   *
   * @return ids below 300
   */
  static UnigramModel ofLetters() {
    List<Piece> pieces = new ArrayList<>();
    for (String special : List.of("<pad>", "</s>", "<unk>")) {
      pieces.add(new Piece(special, 0, Kind.SPECIAL));
    }
    pieces.add(new Piece(SPACE, -2, Kind.NORMAL));
    for (char c = '!'; c <= '~'; c++) {
      pieces.add(new Piece(String.valueOf(c), -4, Kind.NORMAL));
      pieces.add(new Piece(SPACE + c, -4, Kind.NORMAL));
    }
    return new UnigramModel(pieces, 2, 1, new byte[0]);
  }

  /**
   * The model in the form of HuggingFace's tokenizer.json for T5 (T5Tokenizer): SentencePiece's
   * normalisation, words split at white space and marked, the end piece appended.
   */
  byte[] toJson() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      json.writeStringField("version", "1.0");
      json.writeNullField("truncation");
      json.writeNullField("padding");
      addedTokens(json);
      normalizer(json);
      json.writeObjectFieldStart("pre_tokenizer");
      json.writeStringField("type", "Sequence");
      json.writeArrayFieldStart("pretokenizers");
      json.writeStartObject();
      json.writeStringField("type", "WhitespaceSplit");
      json.writeEndObject();
      json.writeStartObject();
      metaspace(json);
      json.writeEndObject();
      json.writeEndArray();
      json.writeEndObject();
      postProcessor(json);
      json.writeObjectFieldStart("decoder");
      metaspace(json);
      json.writeEndObject();
      model(json);
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory can't fail", e);
    }
    return out.toByteArray();
  }

  /** Sentinels that the vocabulary lacks: the last number first. */
  private List<String> sentinels() {
    boolean there = pieces.stream().anyMatch(p -> p.text.equals(SENTINEL.formatted(0)));
    return there
        ? List.of()
        : IntStream.range(0, SENTINELS)
            .mapToObj(i -> SENTINEL.formatted(SENTINELS - 1 - i))
            .toList();
  }

  private void addedTokens(JsonGenerator json) throws IOException {
    json.writeArrayFieldStart("added_tokens");
    for (int id = 0; id < pieces.size(); id++) {
      Piece piece = pieces.get(id);
      if (piece.kind != Kind.NORMAL) {
        addedToken(json, id, piece.text, piece.kind == Kind.SPECIAL);
      }
    }
    int id = pieces.size();
    for (String sentinel : sentinels()) {
      addedToken(json, id++, sentinel, true);
    }
    json.writeEndArray();
  }

  private static void addedToken(JsonGenerator json, int id, String text, boolean special)
      throws IOException {
    json.writeStartObject();
    json.writeNumberField("id", id);
    json.writeStringField("content", text);
    for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
      json.writeBooleanField(flag, false);
    }
    json.writeBooleanField("special", special);
    json.writeEndObject();
  }

  private void normalizer(JsonGenerator json) throws IOException {
    if (charsMap.length == 0) {
      json.writeNullField("normalizer");
      return;
    }
    json.writeObjectFieldStart("normalizer");
    json.writeStringField("type", "Precompiled");
    json.writeStringField("precompiled_charsmap", Base64.getEncoder().encodeToString(charsMap));
    json.writeEndObject();
  }

  private static void metaspace(JsonGenerator json) throws IOException {
    json.writeStringField("type", "Metaspace");
    json.writeStringField("replacement", SPACE);
    json.writeStringField("prepend_scheme", "always");
    json.writeBooleanField("split", true);
  }

  private void postProcessor(JsonGenerator json) throws IOException {
    String text = pieces.get(end).text;
    json.writeObjectFieldStart("post_processor");
    json.writeStringField("type", "TemplateProcessing");
    for (String form : List.of("single", "pair")) {
      json.writeArrayFieldStart(form);
      for (String sequence : form.equals("pair") ? List.of("A", "B") : List.of("A")) {
        template(json, "Sequence", sequence);
        template(json, "SpecialToken", text);
      }
      json.writeEndArray();
    }
    json.writeObjectFieldStart("special_tokens");
    json.writeObjectFieldStart(text);
    json.writeStringField("id", text);
    json.writeFieldName("ids");
    json.writeArray(new int[] {end}, 0, 1);
    json.writeArrayFieldStart("tokens");
    json.writeString(text);
    json.writeEndArray();
    json.writeEndObject();
    json.writeEndObject();
    json.writeEndObject();
  }

  private static void template(JsonGenerator json, String kind, String id) throws IOException {
    json.writeStartObject();
    json.writeObjectFieldStart(kind);
    json.writeStringField("id", id);
    json.writeNumberField("type_id", 0);
    json.writeEndObject();
    json.writeEndObject();
  }

  private void model(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("model");
    json.writeStringField("type", "Unigram");
    json.writeNumberField("unk_id", unknown);
    json.writeArrayFieldStart("vocab");
    for (Piece piece : pieces) {
      entry(json, piece.text, piece.score);
    }
    for (String sentinel : sentinels()) {
      entry(json, sentinel, 0);
    }
    json.writeEndArray();
    json.writeBooleanField("byte_fallback", false);
    json.writeEndObject();
  }

  private static void entry(JsonGenerator json, String text, double score) throws IOException {
    json.writeStartArray();
    json.writeString(text);
    json.writeNumber(score);
    json.writeEndArray();
  }
}
