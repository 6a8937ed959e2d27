import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Keeps whatever a run of the tests leaves behind in one folder, which ends with it. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'farebox-run-'))
  // PostgreSQL runs as another user where the tests run as root.
  chmodSync(folder, 0o711)
  process.env['TMPDIR'] = folder
  return () => rmSync(folder, { recursive: true, force: true })
}
