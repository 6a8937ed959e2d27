import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FindingRecord } from '../../../src/cli/check-online/findings-output.ts'
import { seller } from '../../support/accounts.ts'
import { type CliRun, runCli } from '../run-cli.ts'

export interface OnlineRun extends CliRun {
  readonly findings: readonly FindingRecord[]
}

/** Writes a file with this text, runs `farebox check --online` on it, and reads what it found. */
export async function checkOnline(
  yaml: string,
  options: {
    readonly words?: readonly string[]
    readonly run?: (words: readonly string[]) => Promise<CliRun>
  } = {},
): Promise<OnlineRun> {
  const directory = await mkdtemp(join(tmpdir(), 'farebox-online-'))
  const file = join(directory, 'gateway.yaml')
  await writeFile(file, yaml)
  const { words = [], run = runCli } = options
  try {
    const outcome = await run(['check', '-c', file, '--online', ...words])
    const [, ...lines] = outcome.stdout.trimEnd().split('\n')
    return { ...outcome, findings: lines.map(line => JSON.parse(line)) }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

export interface YamlParts {
  /** URLs, or whatever else the file may have there. */
  readonly facilitators: readonly unknown[]
  readonly rpc?: readonly string[]
  readonly accepts?: string
  readonly payTo?: string
  /** More about base-sepolia. */
  readonly network?: string
  readonly publicUrl?: string
  readonly top?: string
  readonly routes?: string
}

/** A file that sells one thing for test dollars on base-sepolia. */
export function onlineYaml(parts: YamlParts): string {
  const { facilitators, rpc, accepts = 'base-sepolia', publicUrl } = parts
  const server = publicUrl === undefined ? '' : `server: {publicUrl: "${publicUrl}"}`
  const network = rpc === undefined ? '' : `rpc: ${JSON.stringify(rpc)}, ${parts.network ?? ''}`
  return `version: 1
payTo: "${parts.payTo ?? seller.address}"
accepts: [${accepts}]
facilitators: ${JSON.stringify(facilitators)}
networks: {base-sepolia: {${network}}}
${server}
upstreams: {api: "http://127.0.0.1:9"}
${parts.top ?? ''}
routes:
${parts.routes ?? '  GET /v1/report: $0.25'}
`
}

/** The findings of one question, without those that are all right. */
export function troubles(
  { findings }: OnlineRun,
  question: FindingRecord['question'],
): readonly FindingRecord[] {
  return findings.filter(one => one.question === question && one.level !== 'ok')
}
