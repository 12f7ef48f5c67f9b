package io.heatkv.schedule;

/**
 * An atom in the arena. Its granules, in the order of its runs: the entries one after another, each
 * the granules of its key and then of its value; then the numbers of the scales, see {@link
 * Precision#numberGranules}.
 *
 * @param atom source, head and layer
 * @param level how it is stored
 * @param runs of granules: start, length, start, length …
 */
public record StoredAtom(Atom atom, Level level, int[] runs) {}
