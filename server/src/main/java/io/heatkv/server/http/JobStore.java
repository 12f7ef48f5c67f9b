package io.heatkv.server.http;

import io.heatkv.PictureSizes;
import io.heatkv.server.ServerOptions;
import io.heatkv.server.core.Job;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/** Jobs by their unguessable names, with those that have ended kept within bounds. */
final class JobStore {
  private final ServerOptions.Kept kept;
  private final Map<String, Entry> entries = new LinkedHashMap<>();
  // When a sweep first saw that they had ended, the oldest first.
  private final Map<String, Ended> ended = new LinkedHashMap<>();

  private record Ended(Entry entry, long at) {}

  /**
   * @param owner whose key made it
   * @param created seconds since 1970
   */
  record Entry(String id, String owner, long created, Job job, PictureSizes.Size size) {}

  JobStore(ServerOptions.Kept kept) {
    this.kept = kept;
  }

  synchronized Entry add(String owner, Job job, PictureSizes.Size size) {
    sweep();
    Entry entry =
        new Entry(
            "job_" + Trace.unguessable(), owner, System.currentTimeMillis() / 1000, job, size);
    entries.put(entry.id, entry);
    return entry;
  }

  /**
   * The job of a name.
   *
   * @throws ApiException if there is none, or it is another's
   */
  synchronized Entry get(String owner, String id) {
    sweep();
    Entry entry = entries.get(id);
    if (entry == null || !entry.owner.equals(owner)) {
      throw ApiException.notFound("there is no such job; results are kept for a time only");
    }
    return entry;
  }

  /** Forgets the oldest of those that have ended, until the rest is within bounds. */
  synchronized void sweep() {
    long now = System.nanoTime();
    entries.values().stream()
        .filter(entry -> entry.job.state().isEnd())
        .forEach(entry -> ended.putIfAbsent(entry.id, new Ended(entry, now)));
    long bytes = ended.values().stream().mapToLong(each -> each.entry.job.bytes()).sum();
    Iterator<Ended> oldest = ended.values().iterator();
    while (oldest.hasNext()) {
      Ended next = oldest.next();
      if (ended.size() <= kept.jobs()
          && bytes <= kept.bytes()
          && now - next.at <= kept.time().toNanos()) {
        break;
      }
      bytes -= next.entry.job.bytes();
      entries.remove(next.entry.id);
      oldest.remove();
    }
  }
}
