"""Says in Chinese what is wrong in a book: a fault enters, the line an office reads leaves; nothing of a cell is repeated.

The English sentence is the key, ``{}`` in it whatever differs; a test keeps every sentence of the books in here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from console.books.faults import Fault, Origin
from console.books.roll_row import is_roll
from console.books.titles import SHEETS, TITLES

_SAID: Mapping[str, str] = {
    "is row {} once more":
        "与第 {} 行重复",
    "is not after {}":
        "不晚于{}",
    "names no row of {}, neither in the files nor in the database":
        "在{}表和系统里都找不到",
    "a door has a device of kind {}":
        "门上的设备类型是门禁控制器、门磁或其他",
    "correct the id, or add the row to {}":
        "请改正编号，或在{}表里补上这一行",
    "is the door of another household in the same time, and a dwelling door of one of the two":
        "同一时间是另一户的门，而且是其中一户的入户门",
    "is shorter than heartbeat_s, so that the device would be deaf between two heartbeats":
        "比心跳间隔还短，两次报到之间会被当作失联",
    "stands without the other end of the hours":
        "只写了时段的一端",
    "is not the device of a door":
        "不是装在门上的设备",
    "and the household stand at two sites":
        "与住户不在同一个小区",
    "overlaps another window of this door":
        "与这扇门的另一段时间重叠",
    "end the one before with to_at":
        "请先给前一段写上结束时间",
    "is missing for a credential of a resident or a relative":
        "住户卡和家属卡必须填写",
    "leave one of them away":
        "请只留一个",
    "is the label of household {} of this site":
        "是这个小区另一户（{}）的门牌",
    "correct one of the two times":
        "请改正两个时间中的一个",
    "give it the role shared for both, or end one window with to_at":
        "两户都写单元门，或给其中一段写上结束时间",
    "is a second standing consent for this purpose":
        "同一目的已有一份有效的同意",
    "write about three heartbeats":
        "请写约三倍的心跳间隔",
    "names the device itself":
        "写成了这台设备自己",
    "leave it empty, or name its gateway":
        "请留空，或写它的网关",
    "write both available_from and available_until, or neither":
        "可接听起、可接听止请都填或都不填",
    "give both the same site_id":
        "请让两者的小区编号一致",
    "names no policy":
        "没有这条关爱规则",
    "leave it empty for the mandated 1, 2 and 3 days":
        "留空即按规定的一天、两天、三天",
    "is missing for a person with a telephone":
        "填了电话就必须填写",
    "write the name":
        "请填写姓名",
    "is missing for a resident":
        "住户必须填写",
    "write where the person lives":
        "请写此人住在哪一户",
    "write whose household it opens":
        "请写是哪一户的卡",
    "lies in the future":
        "在将来",
    "enter it when it has happened":
        "请等发生之后再登记",
    "is before a withdrawal of this consent":
        "早于这项同意的撤回时间",
    "is more than 90 days after from_at":
        "离开始时间超过 90 天",
    "renew it when the time comes":
        "请到时候再续",
    "names a device that is no gateway":
        "不是网关",
    "name one of kind gateway":
        "请写一台网关的编号",
    "give each household its own label, or use the stored id":
        "请给每户不同的门牌，或使用已登记的编号",
    "is before given_at":
        "早于同意时间",
    "withdraw the one before with withdrawn_at":
        "请先给前一份写上撤回时间",
    "puts a gateway behind a gateway":
        "网关不能接在网关后面",
    "leave it empty":
        "请留空",
    "write when the new consent was given":
        "请写新的同意是何时给的",
    "write one of {}":
        "请写其中一个：{}",
    "the columns are {}, between commas":
        "可用的列：{}",
    "the columns are {}":
        "可用的列：{}",
    "write the community's time, such as 07:30, both or neither":
        "请写当地时间，如 07:30，两个都填或都不填",
    "write lower-case letters, digits and hyphens, 1 to 64, the same id everywhere":
        "请写小写字母、数字和 -，1 到 64 个，各表一致",
    "write letters, digits, dots, hyphens and underscores, 1 to 64; never a person's own number":
        "请写字母、数字、. _ -，1 到 64 个；绝不能用个人的证件号或电话号码",
    "write a date such as 2025-11-21 or 2025年11月21日, or a time with its zone, such as 2025-11-21T08:00:00+08:00":
        "请写日期，如 2025-11-21 或 2025年11月21日，或带时区的时间，如 2025-11-21T08:00:00+08:00",
    "write it as it is called, 1 to 100 characters; format the sheet's column as text before":
        "请按平时的叫法写，1 到 100 个字；输入前先把该列设成文本格式",
    "write whole metres on the site plan, -20000 to 20000":
        "请写平面图上的整米数，-20000 到 20000",
    "is missing, and the room's number does not say it":
        "没有填，从房号也看不出来",
    "write it into each line of the home":
        "请在这一户的每一行都填",
    "does not say at which site the home is":
        "没有写是哪个小区的",
    "add a column site (小区) with its id or its name, or import it with --site":
        "请加一列“小区”，填小区编号或名称，或导入时加 --site",
    "says something else of this home than row {}":
        "与第 {} 行对同一户的说法不一致",
    "says something else of this relative than row {}":
        "与第 {} 行对同一位家属的说法不一致",
    "write the same into each line of a home":
        "请在这一户的每一行填一样的内容",
    "may be one of several homes":
        "可能是已登记的几户中的任何一户",
    "write its label as it is registered":
        "请按登记的门牌填“门牌”",
    "is a home of another sheet too":
        "这一户在另一张表里也有",
    "put all lines of a home into one sheet":
        "请把同一户的各行放在同一张表里",
    "is the name of two people of this home":
        "是这一户两个人的姓名",
    "enter the second on the home's page, or tell them apart by a second name":
        "请在这一户的页面上登记第二位，或写法上加以区分",
    "is nobody who is registered with this home, and somebody registered there is not in the list":
        "不是这一户登记的人，而登记的人又不在名单里",
    "write the name as it is registered, or correct on the home's page who lives there and whom to ask":
        "请按登记的姓名填写，或先在这一户的页面上更正住户和联系人",
    "is missing":
        "没有填",
    "is none of the words that may stand here":
        "不是这里可以写的词",
    "does not have the form it must have":
        "写法不对",
    "is too long":
        "太长",
    "is empty":
        "是空的",
    "is no text":
        "不是文字",
    "is no whole number":
        "不是整数",
    "is out of range":
        "超出范围",
    "is neither true nor false":
        "既不是“是”也不是“否”",
    "is no column of this book":
        "不是这张表的列",
    "looks like a citizen's or a telephone number":
        "像是身份证号或电话号码",
    "is a date without its year":
        "日期没有年份",
    "is neither a date nor a time with a zone":
        "既不是日期，也不是带时区的时间",
    "lies outside the years 1990 to 2100":
        "不在 1990 到 2100 年之间",
    "is a date, which a spreadsheet made of a number like 3-1":
        "成了日期，可能是表格软件把 3-1 之类的编号改坏了",
    "is a number a spreadsheet rounded or pointed":
        "是被表格软件改过的数字",
    "names several people":
        "一格里写了几个人",
    "write a row for each person, with an id of its own":
        "请每人一行，各有各的编号",
    "write the name, or leave it empty":
        "请填写姓名，没有就留空",
    "holds several numbers":
        "一格里写了几个号码",
    "write the one that is answered":
        "请只留打得通的那一个",
    "write one thing into a cell, and a row for each person":
        "请一格只写一项，每人一行",
    "holds no letter of a name":
        "不是姓名，一个字也没有",
    "holds a sign where a letter was lost":
        "有字丢失，只剩替代符号",
    "has more digits than a telephone number":
        "位数多于一个电话号码",
    "is a time with a zone":
        "带了时区",
    "write whole metres, 3 to 1000":
        "请写整米数，3 到 1000",
    "write whole degrees clockwise, -180 to 180":
        "请写顺时针的整度数，-180 到 180",
    "write a whole number, -20 to 300":
        "请写整数，-20 到 300",
    "write at most 200 characters":
        "请写至多 200 个字",
    "write the year, such as 1944":
        "请写年份，如 1944",
    "write true or false":
        "请写是或否",
    "write 1 to 100 characters, every letter of it":
        "请写 1 到 100 个字，每个字都要写全",
    "write digits, as text, not as a number of a sheet":
        "请写号码，并把该列设成文本格式",
    "write 1 for whom to ask first, 2 for the next":
        "最先找的写 1，其次写 2",
    "write 60 to 86400 seconds":
        "请写 60 到 86400 秒",
    "write the token devices report, never a name or a citizen's number":
        "请写设备上报的卡标识，绝不能写姓名或身份证号",
    "write how many people are registered":
        "请写登记了几人",
    "does not fit":
        "不合规定",
    "write true or false (是, 否)":
        "请写是或否",
    "is no known time zone":
        "没有这个时区",
    "is no time there is":
        "没有这一天或这个时刻",
    "is no time of a day":
        "不是几点几分",
    "write 1 to 100 characters":
        "请写 1 到 100 个字",
    "write whole seconds, at most 604800":
        "请写整秒数，至多 604800",
    "write a name such as Asia/Shanghai":
        "请写时区名，如 Asia/Shanghai",
    "see docs/import.md":
        "见 docs/import.zh.md",
    "has {} cells, the header has {}":
        "有 {} 格，表头有 {} 格",
    "column {} ({}) has no title":
        "第 {} 列（{} 列）没有标题",
    "brings {} a second time":
        "又带来一份{}表",
    "name it one of {}":
        "请用这些文件名之一：{}",
    "name them {}":
        "请用这些文件名：{}",
    "is {}, not text in UTF-8":
        "是 {}，不是 UTF-8 文本",
    "the books are {}":
        "可用的表：{}",
    "cannot be read ({})":
        "读不了（{}）",
    "export the file again from its source as UTF-8, do not mend the letters by hand":
        "请从原来的系统按 UTF-8 重新导出，不要手工补字",
    "leave it out of the file, save it, and import again":
        "请从文件里删去，保存后重新导入",
    "is not UTF-8, while other rows are: encodings are mixed, or bytes were lost":
        "不是 UTF-8，而别的行是：编码混用，或有字节丢失",
    "is a folder without CSV files or workbooks":
        "这个文件夹里没有 CSV 或工作簿",
    "save it as an Excel workbook (.xlsx) or as CSV UTF-8":
        "请另存为 Excel 工作簿（.xlsx）或 CSV UTF-8",
    "if the whole file was saved as GB18030 (GBK, ANSI), say --encoding gb18030; otherwise export the file again from its source as UTF-8, do not mend the letters by hand":
        "如果整个文件是按 GB18030（GBK、ANSI）保存的，加 --encoding gb18030；否则请从原来的系统按 UTF-8 重新导出，不要手工补字",
    "is a list or an object":
        "是列表或对象",
    "look for a quotation mark without its partner":
        "请找一找不成对的引号",
    "put cells that hold a comma between quotation marks":
        "含逗号的单元格请加引号",
    "put all its rows into one file":
        "请把各行放进同一个文件",
    "is longer than 64 MiB":
        "超过 64 MiB",
    "import one community at a time":
        "请一次导入一个社区",
    "says of itself that it is UTF-8":
        "标明自己是 UTF-8",
    "leave --encoding away":
        "请去掉 --encoding",
    "is not UTF-8":
        "不是 UTF-8",
    "is none of the books":
        "不是任何一张表",
    "write at least the header":
        "请至少写上表头",
    "write each row on one line; look for a quotation mark without its partner":
        "请一条写一行；找一找不成对的引号",
    "is no object of books":
        "不是由各表组成的对象",
    'write {"communities": [{…}], …}': '请写 {"communities": [{…}], …}',
    "is neither .csv, .xlsx nor .json":
        "不是 .csv、.xlsx 或 .json",
    "save it as CSV UTF-8":
        "请另存为 CSV UTF-8",
    "is not GB18030: bytes were lost, or encodings are mixed":
        "不是 GB18030：有字节丢失，或编码混用",
    "is no CSV from here on":
        "从这里起不是 CSV",
    "write one, or empty its cells":
        "请补上标题，或清空这些单元格",
    "is no JSON at this line":
        "这一行不是 JSON",
    "write it with a program":
        "请用程序生成",
    "names something twice in one object, or nests too deep":
        "同一对象里有重名，或嵌套太深",
    "name it once":
        "请只写一次",
    "is no object":
        "不是对象",
    "write the row as {column: value}": "请把这一行写成 {列: 值}",
    "is UTF-8, not GB18030":
        "是 UTF-8，不是 GB18030",
    "holds a line break":
        "单元格里有换行",
    "is no list of rows":
        "不是由行组成的列表",
    "write a list of objects":
        "请写成对象的列表",
    "see its name and its rights":
        "请检查文件名和权限",
    "leave --encoding away; export the file again from its source as UTF-8, do not mend the letters by hand":
        "请去掉 --encoding，或从原来的系统按 UTF-8 重新导出，不要手工补字",
    "holds sheet {}, which is none of the books":
        "第 {} 个工作表不是任何一张表",
    "call it {}, or delete it; a list of homes and people in one sheet has the columns name and room":
        "请改名为 {} 之一，或删去；房屋和人写在同一张表里的，要有“姓名”和“房号”两列",
    "a list of homes and people in one sheet has the columns name and room":
        "房屋和人写在同一张表里的，要有“姓名”和“房号”两列",
    "format the column as text, then type it again":
        "请先把该列设成文本格式，再重新输入",
    "write a date such as 2025-11-21, or as text a time with its zone, such as 2025-11-21T08:00:00+08:00":
        "请写日期，如 2025-11-21，或以文本写带时区的时间，如 2025-11-21T08:00:00+08:00",
    "take the cells apart, and write into each what belongs there":
        "请取消合并，在每一格里填上内容",
    "show the column, or delete it":
        "请取消隐藏，或删去这一列",
    "is a number, which loses the zeros before it and digits after the fifteenth":
        "是数字格式，会丢掉开头的零和第十五位以后的数字",
    "has no row in any sheet":
        "每个工作表都只有表头",
    "write rows below the headers":
        "请在表头下面填写",
    "has no sheet with a cell":
        "没有一个工作表有内容",
    "is hidden":
        "是隐藏的行",
    "show all rows (clear the filter), or delete it":
        "请取消隐藏（清除筛选），或删去这一行",
    "stands in a hidden column":
        "在隐藏的列里",
    "is an error of the sheet, such as #N/A":
        "是表格的错误值，如 #N/A",
    "write what belongs there":
        "请填上应有的内容",
    "is a formula without a result":
        "是没有结果的公式",
    "open the file in Excel or WPS and save it, or write the value":
        "请用 Excel 或 WPS 打开后保存，或直接写数值",
    "is TRUE or FALSE of the sheet":
        "是表格的 TRUE 或 FALSE",
    "holds merged cells":
        "有合并的单元格",
    "is a time of a day, or a date out of all years":
        "只有几点几分，或不是合理年份的日期",
    "column {} ({}) is for citizens' numbers, which Kaimen never keeps; it was not read":
        "第 {} 列（{} 列）是身份证号：系统从不保存身份证号，这一列没有读",
    "column {} ({}) is none of this book":
        "第 {} 列（{} 列）不是这张表的列",
    "write one title for each column into one row":
        "请把表头写成一行，每列一个标题",
    "move it below the header, or delete it; a header stands in one row":
        "请移到表头下面，或删去；表头只能有一行",
    "has no header":
        "没有表头",
    "write the titles of the columns":
        "请写上各列的标题",
    "goes on with the header of the row above":
        "是上一行表头的延续",
    "stands below a total or a note":
        "在合计或备注的下面",
    "move all rows above the totals and notes":
        "请把所有资料行移到合计和备注的上面",
    "stands above the header and is more than a title":
        "在表头上面，又不只是标题",
    "delete the column from the file, save it, and import again":
        "请从文件里删去这一列，保存后重新导入",
    "is missing in the header":
        "表头里没有这一列",
    "stands in the header twice":
        "在表头里出现两次",
    "holds what looks like a citizen's number, which is never kept":
        "含有像身份证号的内容，系统从不保存身份证号",
    "holds the sign for a lost character":
        "有表示丢字的符号",
    "holds question marks where letters were lost":
        "有字丢失，变成了问号",
    "holds a control character or half a character":
        "有控制字符或半个字符",
    "holds an invisible character":
        "有看不见的字符",
    "holds a character of one machine's own, which another shows as another or not at all":
        "有某台电脑自造的字，别处会显示成别的字或不显示",
    "was read in the wrong encoding once already":
        "曾被按错误的编码读过",
    "unpacks to more than {} MiB":
        "解压后超过 {} MiB",
    "turn that off, see its dates, and save it as an Excel workbook (.xlsx)":
        "请关掉这个选项，核对日期，再另存为 Excel 工作簿（.xlsx）",
    "open it and save it as an Excel workbook (.xlsx)":
        "请打开后另存为 Excel 工作簿（.xlsx）",
    "save it as an Excel workbook (.xlsx)":
        "请另存为 Excel 工作簿（.xlsx）",
    "has more than {} parts":
        "超过 {} 个部件",
    "is a workbook of Excel 97 to 2003, or of WPS":
        "是旧版 Excel（.xls）或 WPS（.et）的工作簿",
    "open it in Excel or WPS, choose File, Save as, the type Excel workbook (*.xlsx), and import what you saved":
        "请用 Excel 或 WPS 打开，点“文件”“另存为”，文件类型选“Excel 工作簿（*.xlsx）”，再导入另存的文件",
    "counts its days from 1904":
        "按 1904 年起算日期",
    "is protected with a password":
        "加了密码",
    "save it without one":
        "请去掉密码后保存",
    "is damaged, or is no Excel workbook":
        "已损坏，或不是 Excel 工作簿",
    "holds a part that is no XML":
        "有一个部件不是 XML",
    "holds a part no spreadsheet program writes":
        "有一个部件不是表格软件写的",
    "with the other files would end the watch over {} of the {} watched homes of {}":
        "会结束 {1} 户的看护（社区 {3} 共看护 {2} 户）",
    "belongs to another community than the one named":
        "不属于所写的社区",
    "see withdrawn_at, to_at, retired_at, watched_from and absences; if it is meant, say --end-homes":
        "请核对撤回时间、结束时间、停用时间、关爱起始时间和外出；确实如此，加 --end-homes",
    "is an id of another community's already":
        "这个编号已属于别的社区",
    "choose another id; if the move is meant, say --across-communities":
        "请换一个编号；确实要移过来，加 --across-communities",
    "leave the row out, or name its community":
        "请删去这一行，或写它所在的社区",
}  # fmt: skip
_OFFERED = re.compile(r"'?\b[a-z_]+'? \(([^)]+)\)")
_STORED = re.compile(r"[a-z][a-z_]*(?:\.csv)?")


def say_chinese(fault: Fault) -> str:
    """Return where, what and how to mend it, with the titles a Chinese sheet has."""
    where, what, mend = parts_of(fault)
    return f"{where}：{what}；{mend}"


def parts_of(fault: Fault) -> tuple[str, str, str]:
    """Return where it is, what is wrong and how to mend it, each by itself."""
    place = place_of(fault.origin)
    if fault.column and fault.column != "?":
        cell = f" {fault.cell}" if fault.cell else ""
        place += f"{cell}（{title_of(fault.column, fault.origin.table)}）"
    what, mend = (translate(sentence, fault.origin.table) for sentence in (fault.what, fault.mend))
    return place, what, mend


def place_of(origin: Origin) -> str:
    """Return the file, the sheet and the row as an office sees them."""
    place = origin.file
    if origin.table and not origin.file.lower().endswith(".csv"):
        place += f" {_sheet(origin.table)}"
    return f"{place} 第 {origin.row} 行" if origin.row else place


def _sheet(table: str) -> str:
    """Return what an office calls a table: a book's sheet by its title, a list of homes and people by its number."""
    roll = table.partition(", ")[0]
    number = roll.removeprefix("roll ")
    return f"第 {number} 张表" if number != roll else f"“{SHEETS.get(table, table)}”表"


def translate(sentence: str, book: str = "") -> str:
    """Return a sentence of a fault about a book in Chinese, or as it is where nobody wrote it here."""
    if sentence in _SAID:
        return _SAID[sentence]
    for pattern, said in _patterns():
        found = pattern.fullmatch(sentence)
        if found is not None:
            words = [_OFFERED.sub(r"\1", group).replace(", ", "、") for group in found.groups()]
            words = [_STORED.sub(lambda name: title_of(name[0], book), group) for group in words]
            numbered = "{1}" in said
            return said.format("", *words) if numbered else said.format(*words)
    return sentence


def title_of(name: str, book: str = "") -> str:
    """Return the Chinese title of a column or a book, or the name where it has none."""
    titles = TITLES.get(name)
    if titles is None:
        return SHEETS.get(name, name)
    is_person = book == "persons" or is_roll(book)
    return titles[1] if (is_person and name == "name") or (book, name) == ("contacts", "role") else titles[0]


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Return what differs from time to time, the longest sentence first."""
    keys = sorted((key for key in _SAID if "{}" in key), key=len, reverse=True)
    return [
        (re.compile("(.+)".join(re.escape(part) for part in key.split("{}"))), _SAID[key]) for key in keys
    ]
