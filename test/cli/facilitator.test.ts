import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errorOf, runCli } from './run-cli.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'farebox-facilitator-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

describe('farebox facilitator', () => {
  test('lists every problem of its file, each with its place and cure, and exits with 2', async () => {
    const file = join(directory, 'facilitator.yaml')
    await writeFile(file, 'version: 1\nlocl: {}\nlocal: {networks: {}, key: x}\nkeys: []\n')
    const outcome = await runCli(['facilitator', '-c', file])
    expect(outcome.code).toBe(2)
    const error = Object(errorOf(outcome))
    expect(error.code).toBe('configuration_invalid')
    expect(error.problems).toMatchObject([
      { line: 2, item: 'locl', cure: 'Did you mean local?' },
      { line: 3, item: 'local.networks' },
      { line: 3, item: 'local.key' },
      { line: 4, item: 'keys' },
    ])
  })

  test('is told apart from the list of facilitators', async () => {
    const [one, list] = await Promise.all([
      runCli(['facilitator', '--help']),
      runCli(['facilitators', '--help']),
    ])
    expect(one.stdout).toContain('run a facilitator of your own')
    expect(one.stdout).toContain('farebox facilitators')
    expect(list.stdout).toContain('list the facilitators')
    expect(list.stdout).toContain('farebox facilitator.')
  })
})
