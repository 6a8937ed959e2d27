import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Cure } from './store-faults.ts'

const SOURCE = fileURLToPath(new URL('./sync-fault.c', import.meta.url))

/** Lets every fsync of one process fail. */
export interface SyncFault {
  /** What to start that process through. */
  readonly through: readonly string[]
  begin(): Cure
  close(): void
}

/**
 * No disk here can be told to fail, so that the C library's calls are what fails: SQLite cannot
 * tell the difference. Null where there is no C compiler, or where nothing can be preloaded.
 */
export function buildSyncFault(): SyncFault | null {
  if (process.platform !== 'linux') return null
  const folder = mkdtempSync(join(tmpdir(), 'farebox-sync-'))
  const [library, flag] = [join(folder, 'sync-fault.so'), join(folder, 'fails')]
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl'])
  const close = (): void => rmSync(folder, { recursive: true, force: true })
  if (compiled.status !== 0) {
    close()
    return null
  }
  return {
    through: ['/usr/bin/env', `LD_PRELOAD=${library}`, `SYNC_FAULT=${flag}`],
    begin() {
      writeFileSync(flag, '')
      return () => rmSync(flag, { force: true })
    },
    close,
  }
}
