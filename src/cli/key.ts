import { createHash, randomBytes } from 'node:crypto'
import { type Command, InvalidArgumentError } from 'commander'
import { name as nameSchema } from '../config/schema-values.ts'
import { EXIT_OK } from './exit-code.ts'
import { createOutput } from './output.ts'
import type { Surroundings } from './surroundings.ts'

/** As many as nobody guesses, so that a fast hash of them is enough. */
const KEY_BYTES = 32

export function registerKey(program: Command, surroundings: Surroundings): void {
  program
    .command('key')
    .description('make an API key for somebody who need not pay, and its line for "allow"')
    .argument('<name>', 'who gets it, as logs, metrics and the API will say', readName)
    .option('--json', 'print JSON, as when piped')
    .addHelpText('after', '\nThe key is shown once and kept nowhere: the line has its hash only.\n')
    .action((name: string, options: { json?: true }) => {
      const made = makeKey(name)
      createOutput({ json: options.json === true }, surroundings).result(
        made,
        () => `key for ${name}:  ${made.key}\nfor the file:  ${made.line}`,
      )
      surroundings.exitCode = EXIT_OK
    })
}

function readName(text: string): string {
  if (nameSchema.safeParse(text).success) return text
  throw new InvalidArgumentError(
    'It has letters, digits, dots, dashes and underscores, at most 63.',
  )
}

function makeKey(name: string): { name: string; key: string; sha256: string; line: string } {
  const key = `fbk_${randomBytes(KEY_BYTES).toString('base64url')}`
  const sha256 = createHash('sha256').update(key).digest('hex')
  return { name, key, sha256, line: `- {name: ${JSON.stringify(name)}, sha256: "${sha256}"}` }
}
