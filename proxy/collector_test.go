package proxy

import "testing"

func TestGarbageIsBoundedByWhatIsInUseOrAFixedRoom(t *testing.T) {
	for live := uint64(1 << 20); live <= 1<<30; live += 1 << 20 {
		garbage := max(live, 4<<20) * uint64(collectorPercent(live)) / 100
		if garbage < live || garbage > max(live, garbageRoom) {
			t.Fatalf("%d MiB in use may have %d MiB of garbage", live>>20, garbage>>20)
		}
	}
	if percent := collectorPercent(6 << 20); percent < 400 {
		t.Errorf("GOGC is %d for a small proxy", percent)
	}
}
