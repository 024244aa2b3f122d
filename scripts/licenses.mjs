// Lists the Rust crates linked into the addon with their licences and licence texts, for the platform package.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cargoTarget, run } from './lib.mjs'

function texts(folder) {
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|copying|notice|unlicense)/i.test(name) && existsSync(join(folder, name)))
    .flatMap((name) => {
      try {
        return [readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim()]
      } catch {
        return []
      }
    })
}

/** Writes the list to a file. */
export async function writeRustLicenses(file) {
  const { output: tree } = await run(
    'cargo',
    ['tree', '-e', 'normal', '--target', cargoTarget, '--prefix', 'none', '--format', '{p}'],
    { quiet: true },
  )
  const linked = new Set(tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')))
  const { output } = await run('cargo', ['metadata', '--format-version', '1', '--filter-platform', cargoTarget], {
    quiet: true,
  })
  const json = output.slice(output.indexOf('{"packages"'))
  const packages = JSON.parse(json)
    .packages.filter(({ name, version, source }) => source !== null && linked.has(`${name} v${version}`))
    .sort((a, b) => a.name.localeCompare(b.name))
  const byText = new Map()
  for (const { name, version, manifest_path } of packages) {
    for (const text of texts(dirname(manifest_path)))
      byText.set(text, [...(byText.get(text) ?? []), `${name} ${version}`])
  }
  const list = packages.map(({ name, version, license }) => `- ${name} ${version}: ${license}`)
  const sections = [...byText].map(([text, names]) => `## ${[...new Set(names)].join(', ')}\n\n\`\`\`\n${text}\n\`\`\``)
  writeFileSync(file, `# Rust crates in this addon\n\n${list.join('\n')}\n\n${sections.join('\n\n')}\n`)
  return packages.length
}
