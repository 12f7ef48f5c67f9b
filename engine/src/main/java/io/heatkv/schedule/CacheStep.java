package io.heatkv.schedule;

/**
 * What one layer does with the arena at one scale: it attends to the slots read and its own tokens,
 * and only then writes. Slots written may have been read just before.
 *
 * @param readSlots slots of the retained tokens, head after head, each by ascending source scale
 *     and token
 * @param readLengths retained tokens of each head
 * @param writtenHeads heads that keep the scale, ascending
 * @param writeSlots slots of the scale's tokens, one written head after another
 */
public record CacheStep(int[] readSlots, int[] readLengths, int[] writtenHeads, int[] writeSlots) {}
