--- The results of bench/run as a table for the terminal, as bench/results.tsv, as
--- a table for docs/performance.md, and as a plot.
---
--- A result has `row` (see rows.lua), `ours` and `reference` (medians), `ratio`,
--- `min` and `max` of the rounds, `floor`, `peers` (medians by name) and `met`.

local report = {}

local PEERS = { "bare", "luv", "cqueues", "asyncio", "go" }

--- Three digits that count.
local function number(value)
  if not value then return "-" end
  local size = math.abs(value)
  if size >= 100 then return ("%.0f"):format(value) end
  return (size >= 10 and "%.1f" or "%.2f"):format(value)
end

local function time_or_size(value, unit)
  return unit == "ms" and ("%.3f"):format(value) or ("%.0f"):format(value)
end

local function amount(value, row)
  return value and time_or_size(value, row.unit) or "-"
end

local function spread(result)
  if not result.ratio then return "-" end
  return number(result.min) .. ".." .. number(result.max)
end

local function target(row)
  return row.at_least and ">= " .. row.at_least .. " ms" or number(row.target)
end

local function verdict(result)
  return result.met and "yes" or "NO"
end

-- ---- for the terminal ------------------------------------------------------

local HEADER = {
  "work", "unit", "ours", "reference", "", "ratio", "spread", "target", "met", "floor",
  "bare", "luv", "cqueues", "asyncio", "Go",
}

local LEFT = { [1] = true, [2] = true, [5] = true, [9] = true }

local function cells_of(result)
  local row = result.row
  local cells = {
    row.title, row.unit, amount(result.ours, row), amount(result.reference, row),
    row.against or "", number(result.ratio), spread(result), target(row), verdict(result),
    number(result.floor),
  }
  for _, peer in ipairs(PEERS) do cells[#cells + 1] = amount(result.peers[peer], row) end
  return cells
end

--- Lines of cells as text in columns.
local function aligned(lines)
  local width, text = {}, {}
  for _, cells in ipairs(lines) do
    for i, cell in ipairs(cells) do width[i] = math.max(width[i] or 0, #cell) end
  end
  for l, cells in ipairs(lines) do
    local padded = {}
    for i, cell in ipairs(cells) do
      padded[i] = ("%" .. (LEFT[i] and "-" or "") .. width[i] .. "s"):format(cell)
    end
    text[l] = table.concat(padded, "  "):gsub("%s+$", "") .. "\n"
  end
  return table.concat(text)
end

function report.table(results)
  local lines = { HEADER }
  for _, result in ipairs(results) do lines[#lines + 1] = cells_of(result) end
  return aligned(lines)
end

-- ---- for a file ------------------------------------------------------------

--- A peer's cost as a multiple of ours; of times that are near zero it would say
--- nothing.
local function multiple(result, peer)
  local value = result.peers[peer]
  return value and not result.row.at_least and number(value / result.ours) or "-"
end

function report.tsv(results, about)
  local lines = {
    "# bench/run: " .. about,
    "# ratio: ours / reference, median of the rounds. The peers: their cost / ours.",
    "row\treference\tratio\tmin\tmax\ttarget\tmet\tfloor\t" .. table.concat(PEERS, "\t"),
  }
  for _, result in ipairs(results) do
    local cells = {
      result.row.id, result.row.against or "-", number(result.ratio), number(result.min),
      number(result.max), target(result.row), verdict(result), number(result.floor),
    }
    for _, peer in ipairs(PEERS) do cells[#cells + 1] = multiple(result, peer) end
    lines[#lines + 1] = table.concat(cells, "\t")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- What is compared, for the table of the document.
local function comparison(result)
  local row = result.row
  return ("%s | %s | %s"):format(row.title, row.against or "-",
    row.at_least and amount(result.ours, row) .. " ms" or number(result.ratio))
end

function report.markdown(results, about)
  local lines = {
    "| work | against | ratio | spread | at most | met | floor |",
    "|---|---|---|---|---|---|---|",
  }
  for _, result in ipairs(results) do
    lines[#lines + 1] = ("| %s | %s | %s | %s | %s |"):format(comparison(result),
      spread(result), target(result.row), result.met and "yes" or "**no**",
      number(result.floor))
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "Measured: " .. about .. "."
  return table.concat(lines, "\n") .. "\n"
end

-- ---- the plots -------------------------------------------------------------

local WIDTH, LABELS, ROW, TOP, BOTTOM, NUMBERS = 790, 290, 26, 56, 30, 130
local PLOT = WIDTH - LABELS - NUMBERS

local STYLE = [[
text { font: 13px sans-serif; fill: #24292f }
.head { font-size: 15px; font-weight: bold }
.note { font-size: 11px; fill: #57606a }
.met { fill: #2da44e } .missed { fill: #d4762c }
.spread { stroke: #24292f; stroke-width: 1.5 }
.target { stroke: #24292f; stroke-width: 1.5; stroke-dasharray: 4 3 }
]]

local COLOURS = {
  bare = "#8c959f", luv = "#0969da", cqueues = "#8250df", asyncio = "#d4762c", go = "#1b7c83",
}
local NAMES = { bare = "bare coroutines", go = "Go" }

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

--- Opens a plot of so many rows.
local function head(title, height)
  return string.format('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
    .. 'viewBox="0 0 %d %d">\n<style>%s</style>\n<rect width="%d" height="%d" fill="#ffffff"/>\n'
    .. '<text class="head" x="16" y="24">%s</text>', WIDTH, height, WIDTH, height, STYLE, WIDTH,
    height, escape(title))
end

local function label(title, y)
  return string.format('<text x="%d" y="%.0f" text-anchor="end">%s</text>', LABELS - 10, y,
    escape(title))
end

local function note(x, y, text, anchor)
  return string.format('<text class="note" x="%.1f" y="%.0f" text-anchor="%s">%s</text>', x, y,
    anchor or "start", escape(text))
end

--- One bar: how much of its target the row uses up, with the rounds' spread.
local function bar(result, y, x_of)
  local share, middle = result.row.target, y + ROW / 2
  return table.concat({
    label(result.row.title, middle + 4),
    string.format('<rect class="%s" x="%d" y="%.0f" width="%.1f" height="%d"/>',
      result.met and "met" or "missed", LABELS, y + 5, x_of(result.ratio / share) - LABELS,
      ROW - 10),
    string.format('<line class="spread" x1="%.1f" y1="%.0f" x2="%.1f" y2="%.0f"/>',
      x_of(result.min / share), middle, x_of(result.max / share), middle),
    note(LABELS + PLOT + 12, middle + 4, ("%s, at most %s"):format(number(result.ratio),
      number(result.row.target))),
  }, "\n")
end

--- The results that `wanted` accepts.
local function select_results(results, wanted)
  local shown = {}
  for _, result in ipairs(results) do
    if wanted(result) then shown[#shown + 1] = result end
  end
  return shown
end

--- All rows against their targets.
function report.targets_svg(results, about)
  local shown = select_results(results, function(result) return result.ratio end)
  local longest = 1.25
  for _, result in ipairs(shown) do
    longest = math.max(longest, result.max / result.row.target)
  end
  longest = math.min(longest, 4)
  local height = TOP + #shown * ROW + BOTTOM
  local function x_of(share) return LABELS + PLOT * math.min(share, longest) / longest end
  local parts = {
    head("Cost against the target of each row", height),
    note(x_of(1), TOP - 6, "target", "middle"),
  }
  for i, result in ipairs(shown) do
    parts[#parts + 1] = bar(result, TOP + (i - 1) * ROW, x_of)
  end
  parts[#parts + 1] = string.format('<line class="target" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>',
    x_of(1), TOP, x_of(1), height - BOTTOM)
  parts[#parts + 1] = note(16, height - 10,
    "Shorter is better. The black line is the spread over the rounds. "
    .. about:match("^[^,]+,[^,]+"))
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

-- The second plot: where a peer stands on a logarithmic scale from LEAST to MOST
-- times the cost of uvjobs.
local LEAST, MOST, LEGEND = 0.25, 128, 22

local function x_of_times(times)
  local at = math.log(math.max(LEAST, math.min(times, MOST)) / LEAST) / math.log(MOST / LEAST)
  return LABELS + PLOT * at
end

--- The peers of one row, and what it costs us.
local function dots(result, y)
  local middle = y + ROW / 2
  local parts = {
    label(result.row.title, middle + 4),
    string.format('<line x1="%d" y1="%.0f" x2="%d" y2="%.0f" stroke="#d0d7de"/>', LABELS, middle,
      LABELS + PLOT, middle),
    note(LABELS + PLOT + 12, middle + 4, ("%s %s"):format(time_or_size(result.ours,
      result.row.unit), result.row.unit)),
  }
  for _, peer in ipairs(PEERS) do
    local cost = result.peers[peer]
    if cost then
      parts[#parts + 1] = string.format('<circle cx="%.1f" cy="%.0f" r="5" fill="%s"/>',
        x_of_times(cost / result.ours), middle, COLOURS[peer])
    end
  end
  return table.concat(parts, "\n")
end

--- A line at so many times our cost.
local function scale_line(times, bottom)
  return string.format('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>\n',
    x_of_times(times), TOP + LEGEND, x_of_times(times), bottom,
    times == 1 and "#24292f" or "#d0d7de")
    .. note(x_of_times(times), TOP + LEGEND - 6,
      times == 1 and "uvjobs" or ("x %g"):format(times), "middle")
end

local function legend()
  local parts, x = {}, LABELS
  for _, peer in ipairs(PEERS) do
    local name = NAMES[peer] or peer
    parts[#parts + 1] = string.format('<circle cx="%d" cy="40" r="5" fill="%s"/>', x,
      COLOURS[peer])
    parts[#parts + 1] = note(x + 10, 44, name)
    x = x + 30 + 6 * #name
  end
  return table.concat(parts, "\n")
end

--- The rows that were measured with peers, against them.
function report.peers_svg(results, about)
  local shown = select_results(results, function(result)
    return result.row.unit ~= "ms" and result.peers.asyncio
  end)
  local bottom = TOP + LEGEND + #shown * ROW
  local parts = { head("What it costs elsewhere", bottom + BOTTOM), legend() }
  for _, times in ipairs { 0.5, 1, 2, 4, 8, 16, 32, 64 } do
    parts[#parts + 1] = scale_line(times, bottom)
  end
  for i, result in ipairs(shown) do
    parts[#parts + 1] = dots(result, TOP + LEGEND + (i - 1) * ROW)
  end
  parts[#parts + 1] = note(16, bottom + BOTTOM - 10,
    "CPU time or memory for one job; further right is dearer. On the right: uvjobs. "
    .. about:match("^[^,]+,[^,]+"))
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

return report
