-- The one filter of the embedded renderer; runs before --citeproc.
-- Numbers sections, figures and tables, resolves @fig-x / @tbl-x / @sec-x, turns raw HTML tables
-- into tables of the page, and draws callouts. Every unresolved reference is an error.

local html = FORMAT:match("html") ~= nil
local word = FORMAT:match("docx") ~= nil
local nbsp = "\u{00a0}"
local words = { fig = "Figure", tbl = "Table", sec = "Section" }
local counts = { fig = 0, tbl = 0 }
local numbers = {}      -- identifier -> number
local section = {}      -- counters by level
local number_sections = false
local offset = 0
local unnumbered = 0    -- tables without a caption

local function kind_of(identifier)
  return identifier and identifier:match("^(%a+)%-") or nil
end

local function claim(identifier)
  if numbers[identifier] then
    error("report: the identifier '" .. identifier .. "' is used twice")
  end
  local kind = kind_of(identifier)
  counts[kind] = counts[kind] + 1
  numbers[identifier] = tostring(counts[kind])
  return words[kind] .. nbsp .. numbers[identifier]
end

local function with_number(label, inlines)
  local result = pandoc.Inlines({ pandoc.Span({ pandoc.Str(label .. ":") }, pandoc.Attr("", { "caption-number" })), pandoc.Space() })
  result:extend(inlines)
  return result
end

local function caption_inlines(blocks)
  return pandoc.utils.blocks_to_inlines(blocks, { pandoc.Space() })
end

-- alt text: fig-alt where given, else the caption
local function describe_images(element)
  return element:walk({
    Image = function(image)
      local alt = image.attributes["fig-alt"]
      image.attributes["fig-alt"] = nil
      if alt then
        image.caption = pandoc.Inlines(alt)
      end
      if word then -- Word shows the drawing beside it without a converter
        local drawing = image.src:gsub("%.svg$", ".png")
        local file = io.open(drawing)
        if file then
          file:close()
          image.src = drawing
        end
      elseif not html then
        image.attributes["alt"] = pandoc.utils.stringify(image.caption)
      end
      return image
    end,
  })
end

local function number_figure(figure)
  local label = claim(figure.identifier)
  figure = describe_images(figure)
  if html then
    figure.attributes["tabindex"] = "0"
  end
  figure.caption.long = pandoc.Blocks({ pandoc.Plain(with_number(label, caption_inlines(figure.caption.long))) })
  return figure
end

-- header cells of Markdown tables say that they head a column
local function with_scope(tbl)
  for _, row in ipairs(tbl.head.rows) do
    for _, cell in ipairs(row.cells) do
      cell.attributes.scope = cell.attributes.scope or "col"
    end
  end
  return tbl
end

local function scrollable(block, label)
  if not html then
    return block
  end
  if block.t == "Table" then
    block = with_scope(block)
  end
  return pandoc.Div({ block }, pandoc.Attr("", { "table-scroll" }, { { "tabindex", "0" }, { "role", "region" }, { "aria-label", label } }))
end

-- Word shares a page evenly among columns; here each gets what its longest cell needs
local function fit_columns(tbl)
  local needs = {}
  local function measure(rows, header)
    for _, row in ipairs(rows) do
      local column = 1
      for _, cell in ipairs(row.cells) do
        if cell.col_span == 1 then
          local text = pandoc.utils.stringify(cell.contents)
          local length = utf8.len(text) or #text
          if header then -- a heading may break between words
            length = 0
            for part in text:gmatch("%S+") do
              length = math.max(length, utf8.len(part) or #part)
            end
          end
          needs[column] = math.max(needs[column] or 7, math.min(length + 3, 36))
        end
        column = column + cell.col_span
      end
    end
  end
  measure(tbl.head.rows, true)
  for _, body in ipairs(tbl.bodies) do
    measure(body.body, false)
  end
  local total = 0
  for column = 1, #tbl.colspecs do
    total = total + (needs[column] or 7)
  end
  for column = 1, #tbl.colspecs do
    tbl.colspecs[column] = { tbl.colspecs[column][1], (needs[column] or 7) / total }
  end
  return tbl
end

local function number_table(div)
  local blocks = div.content
  local last = blocks[#blocks]
  if not last or (last.t ~= "Para" and last.t ~= "Plain") then
    error("report: table '" .. div.identifier .. "' has no caption: its block must end with a paragraph")
  end
  blocks:remove(#blocks)
  local label = claim(div.identifier)
  local caption = with_number(label, last.content)
  local found = false
  blocks = blocks:walk({
    Table = function(tbl)
      if not found then
        found = true
        tbl.caption = { long = pandoc.Blocks({ pandoc.Plain(caption) }) }
      end
      if word then
        return fit_columns(tbl), false
      end
      return scrollable(tbl, label), false
    end,
    traverse = "topdown",
  })
  if not found then
    blocks:insert(1, pandoc.Div({ pandoc.Para(caption) }, pandoc.Attr("", { "caption" })))
  end
  return pandoc.Div(blocks, pandoc.Attr(div.identifier, { "table-block" }))
end

local function number_figure_div(div)
  local blocks = div.content
  local last = blocks[#blocks]
  if not last or last.t ~= "Para" or #blocks < 2 then
    error("report: figure '" .. div.identifier .. "' has no caption: its block must end with a paragraph")
  end
  blocks:remove(#blocks)
  return number_figure(pandoc.Figure(blocks, { long = pandoc.Blocks({ pandoc.Plain(last.content) }) }, pandoc.Attr(div.identifier)))
end

local function number_header(header)
  local level = header.level
  local numbered = not header.classes:includes("unnumbered")
  if numbered then
    for deeper = level + 1, 6 do
      section[deeper] = nil
    end
    section[level] = (section[level] or 0) + 1
    local parts = {}
    for step = 1, level do
      if section[step] or #parts > 0 then
        parts[#parts + 1] = tostring(section[step] or 0)
      end
    end
    local number = table.concat(parts, ".")
    if kind_of(header.identifier) == "sec" then
      numbers[header.identifier] = number
    end
    if number_sections then
      header.content:insert(1, pandoc.Space())
      header.content:insert(1, pandoc.Span({ pandoc.Str(number) }, pandoc.Attr("", { "header-section-number" })))
    end
  elseif kind_of(header.identifier) == "sec" then
    numbers[header.identifier] = pandoc.utils.stringify(header.content)
  end
  header.level = math.min(6, level + offset)
  return header
end

local callouts = { note = "Note", tip = "Tip", warning = "Warning", important = "Important", caution = "Caution" }

local function callout(div)
  for _, class in ipairs(div.classes) do
    local kind = class:match("^callout%-(%a+)$")
    if kind then
      if not callouts[kind] then
        error("report: unknown callout '" .. class .. "'")
      end
      local title = div.attributes["title"] and pandoc.Inlines(div.attributes["title"])
      if not title and div.content[1] and div.content[1].t == "Header" then
        title = div.content[1].content
        div.content:remove(1)
      end
      title = title or pandoc.Inlines({ pandoc.Str(callouts[kind]) })
      local head = pandoc.Div({ pandoc.Para({ pandoc.Strong(title) }) }, pandoc.Attr("", { "callout-title" }))
      local inner = pandoc.Blocks({ head })
      inner:extend(div.content)
      if html then
        return pandoc.Div(inner, pandoc.Attr(div.identifier, { "callout", "callout-" .. kind }, { { "role", "note" } }))
      end
      if word then
        return pandoc.Div(inner, pandoc.Attr("", {}, { ["custom-style"] = "Callout" }))
      end
      inner:insert(1, pandoc.RawBlock("typst", "#callout(\"" .. kind .. "\")["))
      inner:insert(pandoc.RawBlock("typst", "]"))
      return inner
    end
  end
end

local function notes(div)
  if word and div.classes:includes("notes") then
    return pandoc.Div(div.content, pandoc.Attr("", {}, { ["custom-style"] = "Notes" }))
  elseif not html and div.classes:includes("notes") then
    local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#notes[") })
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
    return blocks
  end
end

local function visible(div)
  local wanted = div.attributes["when-format"]
  local unwanted = div.attributes["unless-format"]
  local function is(name)
    if html or word then
      return name == (html and "html" or "docx")
    end
    return name == "typst" or name == "pdf"
  end
  local hidden = div.classes:includes("content-hidden")
  if not hidden and not div.classes:includes("content-visible") then
    return nil
  end
  local holds = true
  if wanted then holds = is(wanted) end
  if unwanted then holds = holds and not is(unwanted) end
  if hidden == holds then
    return {}
  end
  return div.content
end

local function parse_tables(raw)
  if raw.format:match("^html") and raw.text:match("<table") then
    return pandoc.read(raw.text, "html").blocks
  end
end

local function number_all(blocks)
  return blocks:walk({
    traverse = "topdown",
    Header = number_header,
    Figure = function(figure)
      if kind_of(figure.identifier) == "fig" then
        return number_figure(figure), false
      end
      figure = describe_images(figure)
      if html then -- a wide figure scrolls: the keyboard must reach it
        figure.attributes["tabindex"] = "0"
      end
      return figure, false
    end,
    Div = function(div)
      local kind = kind_of(div.identifier)
      if kind == "fig" then
        return number_figure_div(div), false
      elseif kind == "tbl" then
        return number_table(div), false
      end
    end,
    Table = function(tbl)
      unnumbered = unnumbered + 1
      return scrollable(tbl, "Table without number " .. unnumbered), false
    end,
  })
end

local missing = pandoc.List()

local function resolve(cite)
  local crossed = 0
  for _, citation in ipairs(cite.citations) do
    if words[kind_of(citation.id)] then
      crossed = crossed + 1
    end
  end
  if crossed == 0 then
    return nil
  end
  local result = pandoc.Inlines({})
  for place, citation in ipairs(cite.citations) do
    local number = numbers[citation.id]
    if not number then
      missing:insert("@" .. citation.id)
      number = "?"
    end
    if place > 1 then
      result:extend({ pandoc.Str(","), pandoc.Space() })
    end
    local text = number
    if citation.mode ~= "SuppressAuthor" then
      text = (words[kind_of(citation.id)] or "") .. nbsp .. number
    end
    result:insert(pandoc.Link({ pandoc.Str(text) }, "#" .. citation.id, "", pandoc.Attr("", { "cross-reference" })))
  end
  return result
end

function Pandoc(doc)
  number_sections = doc.meta["number-sections"] == true
  offset = html and 1 or 0
  local blocks = doc.blocks
  blocks = blocks:walk({ RawBlock = parse_tables })
  blocks = blocks:walk({ traverse = "topdown", Div = visible })
  blocks = blocks:walk({ Div = callout })
  blocks = blocks:walk({ Div = notes })
  blocks = number_all(blocks)
  blocks = blocks:walk({ Cite = resolve })
  if #missing > 0 then
    error("report: unresolved reference(s): " .. table.concat(missing, ", "))
  end
  doc.blocks = blocks
  return doc
end
