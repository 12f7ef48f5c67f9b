package io.heatkv.server.core;

/**
 * One picture of a job in the queue.
 *
 * @param picture its index in the job
 * @param since when it came, by {@link System#nanoTime}
 */
record QueuedPicture(Job job, int picture, long since) {}
