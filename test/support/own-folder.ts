import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for one gateway's files, which is gone after `remove`. */
export interface OwnFolder {
  readonly configFile: string
  readonly storeFile: string
  /** Replaces the configuration file. */
  write(yaml: string): void
  remove(): void
}

export function ownFolder(): OwnFolder {
  const folder = mkdtempSync(join(tmpdir(), 'farebox-own-'))
  const configFile = join(folder, 'gateway.yaml')
  return {
    configFile,
    storeFile: join(folder, 'farebox.db'),
    write: yaml => writeFileSync(configFile, yaml),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
