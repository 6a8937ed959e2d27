import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSqliteLedger } from '../../src/ledger/sqlite.ts'
import { startChildGateway } from '../support/child-gateway.ts'
import { weatherYaml } from '../support/gateway.ts'
import { type Cure, canLimitFileSize, lockStore, raiseSchema } from '../support/store-faults.ts'

let directory: string
/** Of the database. */
let folder: string
let storeFile: string
let configFile: string
const cures: Cure[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'farebox-disk-'))
  folder = join(directory, 'data')
  storeFile = join(folder, 'farebox.db')
  configFile = join(directory, 'gateway.yaml')
  await mkdir(folder)
  await chmod(directory, 0o755)
  const nobody = { url: 'http://127.0.0.1:9' }
  const top = `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${storeFile}"}`
  await writeFile(configFile, weatherYaml({ facilitator: nobody, api: nobody }, { top }))
})

afterEach(async () => {
  for (const cure of cures.splice(0)) await cure()
  await rm(directory, { recursive: true, force: true })
})

/** An empty ledger, closed. */
async function makeStore(): Promise<void> {
  const ledger = await openSqliteLedger({ path: storeFile })
  await ledger.close()
}

interface UnusableStore {
  readonly name: string
  readonly prepare: () => Promise<unknown>
  readonly code: string
  readonly message: RegExp
  readonly fix: RegExp
  readonly unprivileged?: boolean
  readonly fileBytesMax?: number
}

const NOT_WRITABLE = {
  code: 'store_unavailable',
  message: /cannot be opened for writing/,
  fix: /^Let the user that runs farebox write/,
  unprivileged: true,
}
const DAMAGED = {
  code: 'store_unavailable',
  message: /is damaged or is not a SQLite database/,
  fix: /restore the file from a backup/,
}

const unusable: readonly UnusableStore[] = [
  {
    name: 'a directory where it may not write',
    prepare: () => chmod(folder, 0o555),
    ...NOT_WRITABLE,
  },
  {
    name: 'a file that it may only read',
    async prepare() {
      await makeStore()
      await chmod(storeFile, 0o444)
      await chmod(folder, 0o555)
    },
    ...NOT_WRITABLE,
  },
  {
    name: 'a file that is something else',
    prepare: () => writeFile(storeFile, 'server: {listen: 0.0.0.0:8402}\n'.repeat(300)),
    ...DAMAGED,
  },
  {
    name: 'a file of which half is missing',
    async prepare() {
      await makeStore()
      const whole = await readFile(storeFile)
      await writeFile(storeFile, whole.subarray(0, whole.length / 2))
    },
    ...DAMAGED,
  },
  {
    name: 'the schema of a newer farebox',
    async prepare() {
      await makeStore()
      raiseSchema(storeFile)
    },
    code: 'ledger_schema_newer',
    message: /has schema version 999; this farebox knows up to \d+\.$/,
    fix: /^Start the farebox version that wrote the file, or a later one\.$/,
  },
  {
    name: 'a file that another process keeps locked',
    async prepare() {
      await makeStore()
      cures.push(await lockStore(storeFile))
    },
    code: 'store_unavailable',
    message: /is locked by another process/,
    fix: /`fuser FILE`/,
  },
  {
    name: 'a disk that is full',
    prepare: async () => {},
    fileBytesMax: 4096,
    code: 'store_unavailable',
    message: /cannot be written or read reliably/,
    fix: /^Check the disk and its quota/,
  },
  {
    name: 'a directory in the place of the file',
    prepare: () => mkdir(storeFile),
    code: 'store_unavailable',
    message: /cannot be opened/,
    fix: /^Let the user that runs farebox write/,
  },
]

const possible = unusable.filter(one => one.fileBytesMax === undefined || canLimitFileSize)

test.each(possible)(
  'a start over $name ends with 1 and one line that says why and what to do',
  async row => {
    await row.prepare()
    const before = await readFile(storeFile).catch(() => null)
    const { unprivileged, fileBytesMax } = row
    const ended = await startChildGateway(configFile, { unprivileged, fileBytesMax })
    if (ended.kind !== 'ended') return expect.unreachable('The gateway has started.')
    expect([ended.code, ended.stdout]).toEqual([1, ''])
    expect(ended.stderr.trimEnd().split('\n')).toHaveLength(1)
    const { error } = JSON.parse(ended.stderr)
    expect(Object.keys(error)).toEqual(['code', 'message', 'fix'])
    expect(error.code).toBe(row.code)
    expect(error.message).toMatch(row.message)
    expect(error.fix).toMatch(row.fix)
    // Whatever it was, it is left as it is.
    if (fileBytesMax === undefined) {
      expect(await readFile(storeFile).catch(() => null)).toEqual(before)
    }
  },
)
