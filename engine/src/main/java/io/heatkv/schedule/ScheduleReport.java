package io.heatkv.schedule;

/** A schedule in numbers. */
public sealed interface ScheduleReport permits PruningReport, LevelReport {
  /** Some lines of totals and a table with a line for each scale, for people. */
  String text();

  /** One JSON object, for programs. */
  String json();

  /** The report of a schedule. */
  static ScheduleReport of(CacheSchedule schedule) {
    return switch (schedule) {
      case PruningSchedule pruning -> new PruningReport(pruning);
      case LevelPlan levels -> new LevelReport(levels);
    };
  }
}
