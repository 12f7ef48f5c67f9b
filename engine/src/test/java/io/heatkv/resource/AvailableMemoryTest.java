package io.heatkv.resource;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AvailableMemoryTest {
  @TempDir Path root;

  private void file(String name, String text) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  @Test
  void isWhatTheKernelCallsAvailable() throws IOException {
    file("proc/meminfo", "MemTotal: 8000 kB\nMemFree: 100 kB\nMemAvailable:    4000 kB\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(4000L * 1024);
  }

  @Test
  void isBoundByTheTightestControlGroupAboveTheProcess() throws IOException {
    file("proc/meminfo", "MemAvailable: 4000 kB\n");
    file("proc/self/cgroup", "0::/user/job\n");
    file("sys/fs/cgroup/user/memory.max", "1000000\n");
    file("sys/fs/cgroup/user/memory.current", "900000\n");
    file("sys/fs/cgroup/user/memory.stat", "anon 700000\ninactive_file 150000\n");
    file("sys/fs/cgroup/user/job/memory.max", "max\n");
    file("sys/fs/cgroup/user/job/memory.current", "800000\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(1000000 - 900000 + 150000);
    file("sys/fs/cgroup/user/job/memory.max", "810000\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(10000);
  }

  @Test
  void knowsControlGroupsOfTheOldKind() throws IOException {
    file("proc/meminfo", "MemAvailable: 4000 kB\n");
    file("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/abc\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "500000\n");
    file("sys/fs/cgroup/memory/memory.usage_in_bytes", "450000\n");
    file("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 20000\n");
    assertThat(AvailableMemory.bytes(root)).isEqualTo(70000);
  }

  @Test
  void isTheWholeMachineWhereNothingTells() {
    assertThat(AvailableMemory.bytes(root)).isGreaterThan(64L << 20);
  }
}
