package io.heatkv.schedule;

import java.util.List;

/**
 * What one layer does with the arena at one scale, in this order: it attends to what it reads and
 * to its own tokens; moved atoms are copied or decoded elsewhere, all of them before the first is
 * encoded again, since places may overlap; then the layer's own atoms are encoded. Granules are the
 * same in all rows.
 *
 * @param reads atoms of this layer that it attends to, by head, then source
 * @param moves atoms of this and of later layers that go down to another level; what is merely
 *     dropped isn't named
 * @param writes atoms of the current scale in this layer
 */
public record LevelStep(List<StoredAtom> reads, List<Move> moves, List<StoredAtom> writes) {
  /**
   * An atom that is encoded again: a coarser resolution, fewer bits, or both.
   *
   * @param from where and how it is stored
   * @param to where and how it will be
   */
  public record Move(StoredAtom from, StoredAtom to) {}

  /**
   * Bytes from which a device knows the step, numbers of 4: three for each head, one for each atom
   * that is stored, three for each that is named and two for each of its runs, and five that say
   * where these end. An atom that moves is named twice, even if it is also read.
   */
  long tableBytes(int heads) {
    long named = 0;
    long runs = 0;
    for (StoredAtom read : reads) {
      named++;
      runs += read.runs().length / 2;
    }
    for (Move move : moves) {
      named += 2;
      runs += (move.from().runs().length + move.to().runs().length) / 2;
    }
    for (StoredAtom write : writes) {
      named++;
      runs += write.runs().length / 2;
    }
    return Integer.BYTES * (3L * heads + moves.size() + writes.size() + 3 * named + 2 * runs + 5);
  }
}
